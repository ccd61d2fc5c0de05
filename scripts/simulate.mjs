/**
 * Runs simulated lives of a cluster: the production engine and log on a false clock, network and
 * disk. A seed is a life; the same seed gives the same one. Ends with status 1 if an invariant
 * broke (or, with --break, if no acknowledged write got lost), and prints the command that replays
 * each failure.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { readFlags, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const LOST_WRITES_SHOWN = 10
/** What `--break` does to leases: members give votes that they promised to keep, also after a
 * restart alone, or have clocks that run too differently. */
const LEASE_BREAKS = { promises: 'unkept', restarts: 'forgotten', clocks: 'drifting' }

const usage = [
  'Usage: npm run simulate -- --seed N          one life, judged after every event',
  '       npm run simulate -- --seeds A..B      many, on all cores',
  '       … --fault-ms N                        how long faults last, simulated (default 20000)',
  '       … --sqlite                            real databases, in place of a model of them',
  '       … --leases                            strong reads go by leases, and clocks are bad',
  '       … --break no-fsync                    lies about syncs: a write must get lost',
  '       … --leases --break promises|restarts|clocks',
  '                                             breaks what leases rest on: a read must be stale',
].join('\n')

if (isMainThread) await runAll(readOptions())
else await runSome()

function readOptions() {
  const options = {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    'fault-ms': { type: 'string', default: '20000' },
    leases: { type: 'boolean', default: false },
    sqlite: { type: 'boolean', default: false },
    break: { type: 'string' },
  }
  const { values: parsed } = readFlags({ options }, usage)
  const range = /^(\d+)\.\.(\d+)$/.exec(parsed.seeds ?? `${parsed.seed}..${parsed.seed}`)
  if (range === null || (parsed.seed === undefined) === (parsed.seeds === undefined)) {
    refuseUsage('Either --seed with a number or --seeds with a range A..B is needed.', usage)
  }
  const breakable = parsed.leases ? Object.keys(LEASE_BREAKS) : ['no-fsync']
  if (parsed.break !== undefined && !breakable.includes(parsed.break)) {
    refuseUsage(`simulate can't break "${parsed.break}", only ${breakable.join(', ')}.`, usage)
  }
  const faultMs = Number(parsed['fault-ms'])
  if (!Number.isInteger(faultMs) || faultMs < 1) {
    refuseUsage(`--fault-ms is a whole number of milliseconds, not "${parsed['fault-ms']}".`, usage)
  }
  const [first, last] = [Number(range[1]), Number(range[2])]
  if (last < first) refuseUsage(`The range ${parsed.seeds} is empty.`, usage)
  return {
    first,
    last,
    faultMs,
    leases: parsed.leases,
    sqlite: parsed.sqlite,
    breaks: parsed.break ?? null,
  }
}

async function runAll(options) {
  const { first, last, breaks } = options
  const threads = Math.min(availableParallelism(), last - first + 1)
  const totals = { lives: 0, events: 0, acknowledged: 0, crashes: 0, snapshots: 0, failed: 0 }
  const reached = new Map()
  let found = null
  const workers = Array.from({ length: threads }, (_, thread) => {
    return new Worker(new URL(import.meta.url), { workerData: { ...options, thread, threads } })
  })
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
          for (const state of report.reached) reached.set(state, 1 + (reached.get(state) ?? 0))
          if (report.violations.length > 0) totals.failed += 1
          // Lives without syncs break rules at once: the one that lost a write is worth reading.
          const isWanted =
            (breaks === 'no-fsync' ? report.lostWrites : report.violations).length > 0
          const isNews = isWanted && (breaks === null || found === null)
          if (first === last || isNews) print(report, options)
          if (breaks === null || !isWanted) return
          found ??= report.seed
          for (const each of workers) each.terminate()
        })
      })
    }),
  )
  printTotals(totals, reached)
  if (breaks === null) process.exit(totals.failed === 0 ? 0 : 1)
  const what = breaks === 'no-fsync' ? 'a lost write' : 'a broken rule'
  process.stdout.write(found === null ? `Nobody found ${what}!\n` : `Seed ${found}: ${what}.\n`)
  process.exit(found === null ? 1 : 0)
}

async function runSome() {
  const { Life } = await import('../test/simulated/life.ts')
  const { first, last, faultMs, leases: hasLeases, sqlite, breaks, thread, threads } = workerData
  const leases = hasLeases ? (LEASE_BREAKS[breaks] ?? 'kept') : null
  for (let seed = first + thread; seed <= last; seed += threads) {
    const life = new Life({
      seed,
      faultMs,
      skipsSync: breaks === 'no-fsync',
      leases,
      hasSqlite: sqlite,
    })
    parentPort.postMessage(life.run())
  }
}

function printTotals(totals, reached) {
  const { lives, events, acknowledged, crashes, snapshots, failed } = totals
  process.stdout.write(
    `${lives} lives, ${events} events, ${acknowledged} writes acknowledged, ${crashes} crashes, ` +
      `${snapshots} snapshots installed: ${failed} broke an invariant\n`,
  )
  for (const [state, count] of [...reached].sort()) {
    process.stdout.write(`  ${state}: in ${count} lives\n`)
  }
}

function print(report, { faultMs, leases, sqlite, breaks }) {
  const { seed, events, trace, acknowledged, crashes, elections, snapshots } = report
  const { violations, lostWrites, isJudged } = report
  const lines = [
    `seed ${seed}: ${events} events, ${acknowledged} writes, ${crashes} crashes, ` +
      `${elections} leaders, ${snapshots} snapshots: ` +
      (violations.length === 0 ? 'all invariants held' : 'in the order of what was noticed:'),
    `  trace ${trace}`,
    ...violations.map((violation) => `  ${violation}`),
  ]
  if (lostWrites.length > 0) {
    lines.push(`  LOST, in databases that have healed and are level: ${lostWrites.length}`)
    lines.push(...lostWrites.slice(0, LOST_WRITES_SHOWN).map((write) => `    ${write}`))
  } else if (!isJudged) {
    lines.push('  it did not heal: what was lost in the end is not known')
  }
  if (violations.length > 0) {
    const faults = faultMs === 20000 ? '' : ` --fault-ms ${faultMs}`
    const kind = `${sqlite ? ' --sqlite' : ''}${leases ? ' --leases' : ''}`
    const lies = breaks === null ? '' : ` --break ${breaks}`
    lines.push(`  replay: npm run simulate -- --seed ${seed}${faults}${kind}${lies}`)
  }
  process.stdout.write(`${lines.join('\n')}\n`)
}
