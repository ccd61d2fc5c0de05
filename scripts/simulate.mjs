/**
 * Runs simulated lives of a cluster, each from a seed, and prints what replays a failure. With
 * --break it takes away what safety rests on, so that one can see that it would be found out.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const { POWER_SHAPE } = await import('../test/simulated/shape.ts')

const LOST_WRITES_SHOWN = 10
const STRIKES_SHOWN = 200
/** So often, how far it is. */
const PROGRESS_MS = 30_000
const FAULT_MS = 20_000
/** What `--break` does to leases: members give votes that they promised to keep, also after a
 * restart alone, or have clocks that run too differently. */
const LEASE_BREAKS = { promises: 'unkept', restarts: 'forgotten', clocks: 'drifting' }
const BREAKS = ['no-fsync', ...Object.keys(LEASE_BREAKS)]

const usage = [
  'Usage: npm run simulate -- --seed N          one life, judged after every event',
  '       npm run simulate -- --seeds A..B      many, on all cores',
  '       … --fault-ms N                        how long faults last, simulated (default 20000)',
  '       … --leases                            strong reads go by leases in every life',
  '       … --seed N --minimize                 leaves out what the failure does not need',
  '       … --without KIND,KIND                 these kinds of strikes never happen',
  '       … --strikes 3,7 --calls 1,2           only these strikes and calls of clients happen',
  '       … --shape JSON                        in place of what the seed draws',
  '       … --break no-fsync                    lies about syncs: a write must get lost',
  '       … --break promises|restarts|clocks    breaks what leases rest on: a read must be stale',
  RECORD_USAGE,
].join('\n')

if (!isMainThread) await runSome()
else await main(readOptions())

function readOptions() {
  const options = {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    'fault-ms': { type: 'string', default: String(FAULT_MS) },
    leases: { type: 'boolean', default: false },
    minimize: { type: 'boolean', default: false },
    without: { type: 'string' },
    strikes: { type: 'string' },
    calls: { type: 'string' },
    shape: { type: 'string' },
    break: { type: 'string' },
    ...recordFlag,
  }
  const { values: parsed } = readFlags({ options }, usage)
  const range = /^(\d+)\.\.(\d+)$/.exec(parsed.seeds ?? `${parsed.seed}..${parsed.seed}`)
  if (range === null || (parsed.seed === undefined) === (parsed.seeds === undefined)) {
    refuseUsage('Either --seed with a number or --seeds with a range A..B is needed.', usage)
  }
  if (parsed.break !== undefined && !BREAKS.includes(parsed.break)) {
    refuseUsage(`simulate can't break "${parsed.break}", only ${BREAKS.join(', ')}.`, usage)
  }
  const faultMs = Number(parsed['fault-ms'])
  if (!Number.isInteger(faultMs) || faultMs < 1) {
    refuseUsage(`--fault-ms is a whole number of milliseconds, not "${parsed['fault-ms']}".`, usage)
  }
  const [first, last] = [Number(range[1]), Number(range[2])]
  if (!Number.isSafeInteger(last)) refuseUsage(`There is no seed ${range[2]}.`, usage)
  if (last < first) refuseUsage(`The range ${parsed.seeds} is empty.`, usage)
  if (parsed.record !== undefined && (parsed.minimize || parsed.break !== undefined)) {
    refuseUsage('--record is of lives as they are.', usage)
  }
  if (parsed.minimize && first !== last) refuseUsage('--minimize is of one --seed.', usage)
  const leases = LEASE_BREAKS[parsed.break] ?? (parsed.leases ? 'kept' : undefined)
  return {
    first,
    last,
    breaks: parsed.break ?? null,
    minimizes: parsed.minimize,
    record: parsed.record,
    life: {
      faultMs,
      ...(parsed.break === 'no-fsync' ? { skipsSync: true, shape: POWER_SHAPE } : {}),
      ...(leases === undefined ? {} : { leases }),
      ...(parsed.without === undefined ? {} : { without: parsed.without.split(',') }),
      ...(parsed.strikes === undefined ? {} : { strikes: readNumbers('strikes', parsed.strikes) }),
      ...(parsed.calls === undefined ? {} : { calls: readNumbers('calls', parsed.calls) }),
      ...(parsed.shape === undefined ? {} : { shape: readShape(parsed.shape) }),
    },
  }
}

function readNumbers(name, text) {
  const numbers = text === '' ? [] : text.split(',').map(Number)
  if (numbers.every((number) => Number.isInteger(number) && number >= 1)) return numbers
  return refuseUsage(`--${name} are numbers with commas between them, not "${text}".`, usage)
}

function readShape(text) {
  let shape = null
  try {
    shape = JSON.parse(text)
  } catch {}
  if (shape === null || typeof shape !== 'object') {
    refuseUsage(`--shape is an object of JSON, not "${text}".`, usage)
  }
  const unknown = Object.keys(shape).find((key) => !(key in POWER_SHAPE))
  if (unknown !== undefined) {
    const known = Object.keys(POWER_SHAPE).join(', ')
    refuseUsage(`A shape has no "${unknown}", only ${known}.`, usage)
  }
  const { nodes } = shape
  if (nodes !== undefined && !(Number.isInteger(nodes) && nodes >= 2 && nodes <= 5)) {
    refuseUsage(`A life has 2 to 5 nodes, not ${JSON.stringify(nodes)}.`, usage)
  }
  return shape
}

async function main(options) {
  const { STRIKE_KINDS } = await import('../test/simulated/strikes.ts')
  const unknown = options.life.without?.find((kind) => !STRIKE_KINDS.includes(kind))
  if (unknown !== undefined) {
    refuseUsage(`There is no kind "${unknown}", only ${STRIKE_KINDS.join(', ')}.`, usage)
  }
  if (options.minimizes) await runLess(options)
  else await runAll(options)
}

async function runLess({ first: seed, life, breaks }) {
  const { minimize } = await import('../test/simulated/minimize.ts')
  const least = minimize({ seed, ...life }, (text) => process.stdout.write(`${text}\n`))
  if (least === null) {
    process.stdout.write(`seed ${seed} breaks nothing\n`)
    process.exit(0)
  }
  print(least.report, least.options, breaks)
  process.exit(1)
}

async function runAll({ first, last, breaks, record, life }) {
  const recorder = await openRecorder(record, 'simulate', usage)
  const threads = Math.min(availableParallelism(), last - first + 1)
  const totals = { lives: 0, events: 0, acknowledged: 0, crashes: 0, snapshots: 0, failed: 0 }
  const reached = new Map()
  const struck = new Map()
  const failedSeeds = []
  let found = null
  const workers = Array.from({ length: threads }, (_, thread) => {
    const data = { first: first + thread, last, step: threads, life }
    return new Worker(new URL(import.meta.url), { workerData: data })
  })
  const progress = setInterval(() => {
    process.stderr.write(`${totals.lives} of ${last - first + 1} lives, ${totals.failed} failed\n`)
  }, PROGRESS_MS)
  await Promise.all(
    workers.map((worker) => {
      return new Promise((resolve, reject) => {
        worker.on('error', reject)
        worker.on('exit', resolve)
        worker.on('message', (report) => {
          totals.lives += 1
          for (const key of ['events', 'acknowledged', 'crashes', 'snapshots']) {
            totals[key] += report[key]
          }
          for (const state of report.reached) count(reached, state)
          for (const { kind } of report.strikes) count(struck, kind)
          if (report.violations.length > 0) {
            totals.failed += 1
            failedSeeds.push(report.seed)
          }
          // Lives without syncs break rules at once: the one that lost a write is worth reading.
          const isWanted =
            (breaks === 'no-fsync' ? report.lostWrites : report.violations).length > 0
          const isNews = isWanted && (breaks === null || found === null)
          if (first === last || isNews) print(report, { seed: report.seed, ...life }, breaks)
          if (breaks === null || !isWanted) return
          found ??= report.seed
          for (const each of workers) each.terminate()
        })
      })
    }),
  )
  clearInterval(progress)
  printTotals(totals, reached, struck)
  const figures = failedSeeds.length > 0 ? { ...totals, seeds: failedSeeds.join(' ') } : totals
  recorder?.end({ isGood: totals.failed === 0, figures })
  if (breaks === null) process.exit(totals.failed === 0 ? 0 : 1)
  const what = breaks === 'no-fsync' ? 'a lost write' : 'a broken rule'
  process.stdout.write(found === null ? `Nobody found ${what}!\n` : `Seed ${found}: ${what}.\n`)
  process.exit(found === null ? 1 : 0)
}

async function runSome() {
  const { Life } = await import('../test/simulated/life.ts')
  const { first, last, step, life } = workerData
  for (let seed = first; seed <= last; seed += step) {
    parentPort.postMessage(new Life({ seed, ...life }).run())
  }
}

function count(counts, key) {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

function printTotals(totals, reached, struck) {
  const { lives, events, acknowledged, crashes, snapshots, failed } = totals
  process.stdout.write(
    `${lives} lives, ${events} events, ${acknowledged} writes acknowledged, ${crashes} crashes, ` +
      `${snapshots} snapshots installed: ${failed} broke an invariant\n`,
  )
  for (const [state, times] of [...reached].sort()) {
    process.stdout.write(`  ${state}: in ${times} lives\n`)
  }
  const strikes = [...struck].sort().map(([kind, times]) => `${kind} ${times}`)
  process.stdout.write(`  strikes: ${strikes.join(', ') || 'none'}\n`)
}

function print(report, options, breaks) {
  const { seed, shape, events, trace, acknowledged, crashes, elections, snapshots } = report
  const { violations, lostWrites, isJudged, strikes } = report
  const lines = [
    `seed ${seed}: ${events} events, ${acknowledged} writes, ${crashes} crashes, ` +
      `${elections} leaders, ${snapshots} snapshots: ` +
      (violations.length === 0 ? 'all invariants held' : 'in the order of what was noticed:'),
    `  trace ${trace}`,
    `  ${shape}`,
    ...violations.map((violation) => `  ${violation}`),
  ]
  if (lostWrites.length > 0) {
    lines.push(`  LOST, in databases that have healed and are level: ${lostWrites.length}`)
    lines.push(...lostWrites.slice(0, LOST_WRITES_SHOWN).map((write) => `    ${write}`))
  } else if (!isJudged) {
    lines.push('  it did not heal: what was lost in the end is not known')
  }
  if (violations.length > 0) {
    const shown = strikes.slice(-STRIKES_SHOWN)
    lines.push(
      ...shown.map(({ number, atMs, kind }) => `  strike ${number} at ${atMs} ms: ${kind}`),
    )
    lines.push(`  replay: ${replay(options, breaks)}`)
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}

function replay({ seed, faultMs, leases, without, strikes, calls, shape }, breaks) {
  const parts = [`npm run simulate -- --seed ${seed}`]
  if (faultMs !== FAULT_MS) parts.push(`--fault-ms ${faultMs}`)
  if (breaks !== null) parts.push(`--break ${breaks}`)
  else if (leases === 'kept') parts.push('--leases')
  if (without !== undefined) parts.push(`--without '${without.join(',')}'`)
  if (strikes !== undefined) parts.push(`--strikes '${strikes.join(',')}'`)
  if (calls !== undefined) parts.push(`--calls '${calls.join(',')}'`)
  if (shape !== undefined) parts.push(`--shape '${JSON.stringify(shape)}'`)
  return parts.join(' ')
}
