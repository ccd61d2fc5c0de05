/**
 * The long forms of the tests with real processes. `npm test` runs the short ones; both stay.
 */
import { execFileSync } from 'node:child_process'
import { arch, availableParallelism, platform, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { soaks } = await import('../test/processes/soaks.ts')
const names = Object.keys(soaks)
const usage = [
  'Usage: npm run soak                 all of the following, one after the other',
  `       npm run soak -- ${names.join(' | ')}`,
].join('\n')

const wanted = readNames()
let failures = 0
printHead()
for (const name of wanted) {
  const startedMs = performance.now()
  process.stdout.write(`\n${name}\n`)
  try {
    for (const line of await soaks[name](print)) print(line)
  } catch (error) {
    failures += 1
    process.stdout.write(`  FAILED: ${error.stack}\n`)
  }
  process.stdout.write(`  ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`)
}
process.stdout.write(`\n${wanted.length - failures} of ${wanted.length} ok\n`)
process.exit(failures === 0 ? 0 : 1)

function print(line) {
  process.stdout.write(`  ${line}\n`)
}

function readNames() {
  const { positionals } = readFlags({ allowPositionals: true }, usage)
  for (const name of positionals) {
    if (!names.includes(name)) refuseUsage(`There is no soak "${name}".`, usage)
  }
  return positionals.length === 0 ? names : positionals
}

/** What a page that quotes this run has to say with it. */
function printHead() {
  const gib = Math.round(totalmem() / 2 ** 30)
  process.stdout.write(
    `commit ${findCommit()}, ${new Date().toISOString().slice(0, 10)}, ` +
      `Node.js ${process.versions.node}, ${platform()} ${arch()}, ` +
      `${availableParallelism()} cores, ${gib} GiB\n`,
  )
}

function findCommit() {
  try {
    return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8' }).trim()
  } catch {
    return 'unknown'
  }
}
