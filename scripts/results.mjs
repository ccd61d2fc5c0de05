/** Makes docs/results.md of docs/results.jsonl, which `--record` of the long runs adds to. */
import { fileURLToPath } from 'node:url'
import { readFlags, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))
const { writePage } = await import('../test/results/results.ts')

readFlags({}, 'Usage: npm run results     makes docs/results.md of docs/results.jsonl')
process.stdout.write(`${writePage('docs/results.jsonl')} is as docs/results.jsonl says\n`)
