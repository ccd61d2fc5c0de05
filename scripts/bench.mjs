/**
 * Measures the built package, as users run it, and prints one table; builds it first where it is
 * older than its sources. Ends with status 1 if a row could not be measured.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { buildIfOlder, readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const { GROUPS } = await import('../bench/rows.ts')
const threads = ['engine', 'storage', 'user']
const usage = [
  'Usage: npm run bench                          the whole table',
  `       … --only ${GROUPS.join(' | ')}    a part; can be given again`,
  '       … --only jobs --peers                 and the same work on the peers, bench/peers/',
  '       … --json FILE                          writes the figures as docs/bench.json has them',
  '       … --markdown FILE                      writes the table as a page has it as well',
  `       … --profile ${threads.join(' | ')}    where a thread spends its time instead`,
].join('\n')

const { profile, ...options } = readOptions()
buildIfOlder()
// Ended by hand: the way out runs, and takes processes and folders along.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(130))
const { runBench, runProfile } = await import('../bench/bench.ts')
process.exit(profile === null ? await runBench(options) : await runProfile(profile))

function readOptions() {
  const options = {
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    markdown: { type: 'string' },
    profile: { type: 'string' },
    peers: { type: 'boolean' },
  }
  const { values: parsed } = readFlags({ options }, usage)
  const { only = [], json = null, markdown = null, profile = null, peers = false } = parsed
  for (const group of only) {
    if (GROUPS.includes(group)) continue
    refuseUsage(`There is no part "${group}", only ${GROUPS.join(', ')}.`, usage)
  }
  if (profile !== null && !threads.includes(profile)) {
    refuseUsage(`There is no thread "${profile}", only ${threads.join(', ')}.`, usage)
  }
  if (profile !== null && (only.length > 0 || json !== null || markdown !== null || peers)) {
    refuseUsage('--profile measures no rows: it goes with no other flag.', usage)
  }
  for (const [flag, path] of Object.entries({ json, markdown })) {
    if (path === null || isFolder(join(path, '..'))) continue
    refuseUsage(`--${flag}: there is no folder for "${path}".`, usage)
  }
  const groups = only.length === 0 ? GROUPS : only
  if (peers && !groups.includes('jobs')) {
    refuseUsage('--peers measures the jobs of others: it goes with the part "jobs".', usage)
  }
  return { groups, profile, jsonPath: json, markdownPath: markdown, hasPeers: peers }
}

function isFolder(path) {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
}
