/**
 * Runs simulated lives of a cluster: the production engine and log on a false clock, network and
 * disk. A seed is a life; the same seed gives the same one. Ends with status 1 if an invariant
 * broke (or, with --break, if none did), and prints the command that replays each failure.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const usage = [
  'Usage: npm run simulate -- --seed N          one life, judged after every event',
  '       npm run simulate -- --seeds A..B      many, on all cores',
  '       … --fault-ms N                        how long faults last, simulated (default 20000)',
  '       … --break no-fsync                    syncs too late: a write must get lost',
].join('\n')

if (isMainThread) await runAll(readOptions())
else await runSome()

function readOptions() {
  let parsed
  try {
    parsed = parseArgs({
      options: {
        seed: { type: 'string' },
        seeds: { type: 'string' },
        'fault-ms': { type: 'string', default: '20000' },
        break: { type: 'string' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (error) {
    refuseUsage(`${error.message.split('. ')[0]}.`, usage)
  }
  if (parsed.help) {
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  }
  const range = /^(\d+)\.\.(\d+)$/.exec(parsed.seeds ?? `${parsed.seed}..${parsed.seed}`)
  if (range === null || (parsed.seed === undefined) === (parsed.seeds === undefined)) {
    refuseUsage('Either --seed with a number or --seeds with a range A..B is needed.', usage)
  }
  if (parsed.break !== undefined && parsed.break !== 'no-fsync') {
    refuseUsage(`simulate can't break "${parsed.break}", only no-fsync.`, usage)
  }
  const faultMs = Number(parsed['fault-ms'])
  if (!Number.isInteger(faultMs) || faultMs < 1) {
    refuseUsage(`--fault-ms is a whole number of milliseconds, not "${parsed['fault-ms']}".`, usage)
  }
  const [first, last] = [Number(range[1]), Number(range[2])]
  if (last < first) refuseUsage(`The range ${parsed.seeds} is empty.`, usage)
  return { first, last, faultMs, breaks: parsed.break ?? null }
}

async function runAll(options) {
  const { first, last, breaks } = options
  const threads = Math.min(availableParallelism(), last - first + 1)
  const totals = { lives: 0, events: 0, acknowledged: 0, crashes: 0, snapshots: 0 }
  const failed = []
  let isFound = false
  await Promise.all(
    Array.from({ length: threads }, (_, thread) => {
      const worker = new Worker(new URL(import.meta.url), {
        workerData: { ...options, thread, threads },
      })
      return new Promise((resolve, reject) => {
        worker.on('error', reject)
        worker.on('exit', resolve)
        worker.on('message', (report) => {
          totals.lives += 1
          for (const key of ['events', 'acknowledged', 'crashes', 'snapshots']) {
            totals[key] += report[key]
          }
          if (first === last || report.violation !== null) print(report, options)
          if (report.violation !== null) failed.push(report)
          if (breaks !== null && report.lostWrite) {
            isFound = true
            worker.terminate()
          }
        })
      })
    }),
  )
  const { lives, events, acknowledged, crashes, snapshots } = totals
  process.stdout.write(
    `${lives} lives, ${events} events, ${acknowledged} writes acknowledged, ${crashes} crashes, ` +
      `${snapshots} snapshots installed: ${failed.length} broke an invariant\n`,
  )
  if (breaks !== null) {
    process.stdout.write(isFound ? 'The lost write was found.\n' : 'No lost write was found!\n')
    process.exit(isFound ? 0 : 1)
  }
  process.exit(failed.length === 0 ? 0 : 1)
}

async function runSome() {
  const { Life } = await import('../test/simulated/life.ts')
  const { first, last, faultMs, breaks, thread, threads } = workerData
  for (let seed = first + thread; seed <= last; seed += threads) {
    const life = new Life({ seed, faultMs, skipsSync: breaks === 'no-fsync' })
    parentPort.postMessage(life.run())
  }
}

function print(report, { faultMs, breaks }) {
  const { seed, events, acknowledged, crashes, elections, snapshots, violation } = report
  process.stdout.write(
    `seed ${seed}: ${events} events, ${acknowledged} writes, ${crashes} crashes, ` +
      `${elections} leaders, ${snapshots} snapshots: ${violation ?? 'all invariants held'}\n`,
  )
  if (violation === null) return
  const faults = faultMs === 20000 ? '' : ` --fault-ms ${faultMs}`
  const lies = breaks === null ? '' : ` --break ${breaks}`
  process.stdout.write(`  replay: npm run simulate -- --seed ${seed}${faults}${lies}\n`)
}
