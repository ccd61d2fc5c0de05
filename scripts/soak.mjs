/**
 * The long forms of the tests with real processes. `npm test` runs the short ones; both stay.
 */
import { fileURLToPath } from 'node:url'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { soaks } = await import('../test/processes/soaks.ts')
const { readCircumstances } = await import('../test/results/circumstances.ts')
const names = Object.keys(soaks)
const usage = [
  'Usage: npm run soak                 all of the following, one after the other',
  `       npm run soak -- ${names.join(' | ')}`,
  RECORD_USAGE,
].join('\n')

const { wanted, record } = readOptions()
let failures = 0
for (const [at, name] of wanted.entries()) {
  const startedMs = performance.now()
  const recorder = await openRecorder(record, 'soak', usage, [name])
  if (at === 0) printHead()
  let [isGood, figures] = [true, {}]
  process.stdout.write(`\n${name}\n`)
  try {
    const lines = await soaks[name](print)
    for (const line of lines) print(line)
    figures = { said: lines[0] }
  } catch (error) {
    isGood = false
    figures = { said: `${error.message}`.split('\n', 1)[0] }
    failures += 1
    process.stdout.write(`  FAILED: ${error.stack}\n`)
  }
  recorder?.end({ isGood, figures })
  process.stdout.write(`  ${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`)
}
process.stdout.write(`\n${wanted.length - failures} of ${wanted.length} ok\n`)
process.exit(failures === 0 ? 0 : 1)

function print(line) {
  process.stdout.write(`  ${line}\n`)
}

function readOptions() {
  const { values, positionals } = readFlags({ options: recordFlag, allowPositionals: true }, usage)
  for (const name of positionals) {
    if (!names.includes(name)) refuseUsage(`There is no soak "${name}".`, usage)
  }
  return { wanted: positionals.length === 0 ? names : positionals, record: values.record }
}

/** What a page that quotes this run has to say with it. */
function printHead() {
  const { commit, isClean, node, machine } = readCircumstances()
  const day = new Date().toISOString().slice(0, 10)
  const tree = isClean ? '' : ' and changes'
  process.stdout.write(`commit ${commit}${tree}, ${day}, Node.js ${node}, ${machine}\n`)
}
