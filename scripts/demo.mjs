/**
 * The live demo as it is built: four nodes on this machine and a page that shows them; builds first
 * where the build is older than its sources. Ctrl-C ends everything.
 */
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildIfOlder, readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const usage = [
  'Usage: npm run demo                  the demo, at http://127.0.0.1:8080/',
  '       … --port N                    at another port; 0 for any that is free',
  '       … --host ADDRESS              for others too: whoever reaches it can break the nodes',
  '       … --data-dir FOLDER           keeps what was written; by default nothing is kept',
].join('\n')

const options = readOptions()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
buildIfOlder()
const { runDemo } = await import('../dist/demo/demo.js')
let isEnding = false
let demo = null
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void end())
try {
  demo = await runDemo({ ...options, progress: print })
  print(`open ${demo.url} (Ctrl-C ends everything)`)
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

/** At once the second time, and while it still starts: the nodes end with this process. */
async function end() {
  if (isEnding || demo === null) process.exit(130)
  isEnding = true
  print('ending the nodes')
  await demo.close()
  process.exit(0)
}

function readOptions() {
  const options = {
    port: { type: 'string', default: '8080' },
    host: { type: 'string', default: '127.0.0.1' },
    'data-dir': { type: 'string' },
  }
  const { values: parsed } = readFlags({ options }, usage)
  const { port, host, 'data-dir': dataDir } = parsed
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    refuseUsage(`--port is a number from 0 to 65535, not "${port}".`, usage)
  }
  if (host === '') refuseUsage('--host is an address of this machine, not "".', usage)
  if (dataDir === '') refuseUsage('--data-dir is a folder, not "".', usage)
  return { port: Number(port), host, dataDir: dataDir && resolve(dataDir) }
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
