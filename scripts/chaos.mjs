/**
 * Real nodes in processes of their own, and trouble: cut wires, killed and stopped processes, bad
 * disks and clocks, members that come and go, while clients outside of them write and read. Ends
 * with status 1 unless nothing was lost, done twice or stale, and all other checks hold.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()
process.chdir(fileURLToPath(new URL('..', import.meta.url)))

const FAULT_REST_MS = 3_000
const SAME_KEY_MS = 500
const usage = [
  'Usage: npm run chaos -- --minutes N --nodes 3|5   trouble by chance, judged in the end',
  '       … --seed S                                 the same faults at the same times again',
  '       … --schedule FILE                          faults of a file, as a failed run leaves it',
  '       … --leases                                 strong reads go by leases',
  RECORD_USAGE,
].join('\n')

const options = readOptions()
const { runChaos } = await import('../test/chaos/run.ts')
const { makeSchedule, parseSchedule } = await import('../test/chaos/schedule.ts')
const { minutes, nodes, seed, strongReads } = options
const durationMs = minutes * 60_000
const schedule = readSchedule()
const interrupted = new AbortController()
let interruptedMs = 0
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) {
      // Whoever asks twice is in a hurry: no node outlives this process. One Ctrl-C comes from the
      // terminal and from npm as well.
      if (performance.now() - interruptedMs > SAME_KEY_MS) process.exit(1)
      return
    }
    interruptedMs = performance.now()
    print('all is healed and judged now; once more ends it at once')
    interrupted.abort(signal)
  })
}
const recorder = await openRecorder(options.record, 'chaos', usage)
print(`seed ${seed}, ${nodes} nodes, ${minutes} minutes`)
const { lines, verdict, operations, nemesis } = await runChaos({
  nodes,
  durationMs,
  seed,
  schedule,
  strongReads,
  progress: print,
  signal: interrupted.signal,
})
for (const line of lines) print(line)
const faults = nemesis.done.filter(({ strikes }) => strikes > 0).length
if (faults === 0) print('nothing struck: this proves nothing')
const isGood = verdict.isGood && faults > 0
const { aborted, reason } = interrupted.signal
recorder?.end({
  isGood: isGood && !aborted,
  brokenOff: aborted ? `${reason}, then judged` : undefined,
  figures: { seed, operations, faults, ...verdict.counts },
})
process.exit(isGood ? 0 : 1)

function readOptions() {
  const flags = {
    minutes: { type: 'string', default: '3' },
    nodes: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    schedule: { type: 'string' },
    leases: { type: 'boolean', default: false },
    ...recordFlag,
  }
  const { values } = readFlags({ options: flags }, usage)
  const [minutes, nodes] = [Number(values.minutes), Number(values.nodes)]
  if (!(minutes > 0 && minutes <= 600)) {
    refuseUsage(`--minutes is a number above 0, up to 600, not "${values.minutes}".`, usage)
  }
  if (nodes !== 3 && nodes !== 5) refuseUsage(`--nodes is 3 or 5, not "${values.nodes}".`, usage)
  const seed = /^\d+$/.test(values.seed) ? Number(values.seed) : null
  if (!Number.isSafeInteger(seed)) {
    refuseUsage(`--seed is a whole number, not "${values.seed}".`, usage)
  }
  const strongReads = values.leases ? 'lease' : 'majority'
  const { schedule, record } = values
  return { minutes, nodes, seed, strongReads, schedule, record }
}

function readSchedule() {
  if (options.schedule === undefined) {
    const made = makeSchedule({ seed, durationMs, restMs: FAULT_REST_MS })
    if (made.length > 0) return made
    return refuseUsage(`No fault fits into ${minutes} minutes: take 0.2 or more.`, usage)
  }
  try {
    return parseSchedule(readFileSync(options.schedule, 'utf8'))
  } catch (error) {
    return refuseUsage(`--schedule ${options.schedule}: ${error.message}.`, usage)
  }
}

function print(line) {
  process.stdout.write(`${line}\n`)
}
