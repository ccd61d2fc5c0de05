/** Makes the page of a record, which `--record` of the long runs adds to. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const usage =
  'Usage: npm run results -- [FILE.jsonl]     makes its page (default docs/results.jsonl)'
const { positionals } = readFlags({ allowPositionals: true }, usage)
const [record = 'docs/results.jsonl', ...more] = positionals
if (more.length > 0 || !record.endsWith('.jsonl')) {
  refuseUsage(`A record is one .jsonl file, not "${positionals.join(' ')}".`, usage)
}
const { writePage } = await import('../test/results/results.ts')

try {
  // An empty page in place of the one that there is helps nobody.
  if (!existsSync(record)) throw new Error(`there is no ${record}`)
  process.stdout.write(`${writePage(record)} is as ${record} says\n`)
} catch (error) {
  process.stderr.write(`No page was made: ${error.message}.\n`)
  process.exit(1)
}
