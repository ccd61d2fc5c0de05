/**
 * Runs simulated lives of a cluster, each from a seed, and prints what replays a failure. With
 * --break it takes away what safety rests on, so that one can see that it would be found out.
 */
import { availableParallelism } from 'node:os'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { readFlags, refuseBeside, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const { BREAKS } = await import('../test/simulated/breaks.ts')
const { ruleOf } = await import('../test/simulated/invariants.ts')
const { parseShape } = await import('../test/simulated/shape.ts')
const { STRIKE_KINDS } = await import('../test/simulated/strikes.ts')
const { describeEnd, FAULT_MS, Tally } = await import('../test/simulated/tally.ts')

/** What a life does in it stays below the events that end any life. */
const FAULT_MS_MAX = 300_000
/** So often, how far it is. */
const PROGRESS_MS = 30_000

const usage = [
  'Usage: npm run simulate -- --seed N          one life, judged after every event',
  '       npm run simulate -- --seeds A..B      many, on all cores',
  '       … --fault-ms N                        how long faults last, simulated (default 20000)',
  '       … --leases                            strong reads go by leases in every life',
  '       … --seed N --minimize                 leaves out what the failure does not need',
  '       … --without KIND,KIND                 these kinds of strikes never happen',
  '       … --seed N --strikes 3,7 --calls 1,2  only these strikes and calls of clients happen',
  '       … --shape JSON                        in place of what the seed draws',
  '       … --break no-fsync                    lies about syncs: a write must get lost',
  '       … --break promises|restarts|clocks    breaks what leases rest on: a read must be stale',
  RECORD_USAGE,
].join('\n')

const options = readOptions()
if (options.minimizes) await runLess(options)
else await runAll(options)

function readOptions() {
  const options = {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    'fault-ms': { type: 'string' },
    leases: { type: 'boolean' },
    minimize: { type: 'boolean' },
    without: { type: 'string' },
    strikes: { type: 'string' },
    calls: { type: 'string' },
    shape: { type: 'string' },
    break: { type: 'string' },
    ...recordFlag,
  }
  const { values } = readFlags({ options }, usage)
  const { record, minimize: minimizes = false, break: breaks = null } = values
  if (breaks !== null && !Object.hasOwn(BREAKS, breaks)) {
    refuseUsage(`simulate can't break "${breaks}", only ${Object.keys(BREAKS).join(', ')}.`, usage)
  }
  if (record !== undefined && (minimizes || breaks !== null)) {
    refuseUsage('--record is of lives as they are.', usage)
  }
  refuseBeside('break', ['leases'], values, usage)
  refuseBeside('seeds', ['minimize', 'strikes', 'calls'], values, usage)
  return { ...readSeeds(values), breaks, minimizes, record, life: readLife(values) }
}

function readSeeds({ seed, seeds }) {
  if ((seed === undefined) === (seeds === undefined)) {
    refuseUsage('Either --seed with a number or --seeds with a range A..B is needed.', usage)
  }
  const range = /^(\d+)\.\.(\d+)$/.exec(seeds ?? `${seed}..${seed}`)
  if (range === null && seed !== undefined) {
    refuseUsage(`--seed is a whole number from 0 on, not "${seed}".`, usage)
  }
  if (range === null) refuseUsage(`--seeds is a range A..B, not "${seeds}".`, usage)
  const [first, last] = [Number(range[1]), Number(range[2])]
  if (!Number.isSafeInteger(last)) refuseUsage(`There is no seed ${range[2]}.`, usage)
  if (last < first) refuseUsage(`The range ${seeds} is empty.`, usage)
  return { first, last }
}

/** What the lives have in common. */
function readLife(values) {
  const { leases, without, strikes, calls } = values
  const faultMs = Number(values['fault-ms'] ?? FAULT_MS)
  if (!Number.isInteger(faultMs) || faultMs < 1 || faultMs > FAULT_MS_MAX) {
    const range = `a whole number of milliseconds up to ${FAULT_MS_MAX}`
    refuseUsage(`--fault-ms is ${range}, not "${values['fault-ms']}".`, usage)
  }
  const broken = BREAKS[values.break]?.life
  const shape = values.shape === undefined ? undefined : readShape(values)
  return {
    faultMs,
    ...(leases === undefined ? {} : { leases: 'kept' }),
    ...broken,
    ...(without === undefined ? {} : { without: readKinds(without) }),
    ...(strikes === undefined ? {} : { strikes: readNumbers('strikes', strikes) }),
    ...(calls === undefined ? {} : { calls: readNumbers('calls', calls) }),
    ...(shape === undefined ? {} : { shape: { ...broken?.shape, ...shape } }),
  }
}

function readKinds(text) {
  const kinds = [...new Set(text.split(','))]
  const unknown = kinds.find((kind) => !STRIKE_KINDS.includes(kind))
  if (unknown === undefined) return kinds
  return refuseUsage(`There is no kind "${unknown}", only ${STRIKE_KINDS.join(', ')}.`, usage)
}

function readNumbers(name, text) {
  const numbers = text === '' ? [] : text.split(',').map(Number)
  if (numbers.every((number) => Number.isInteger(number) && number >= 1)) return numbers
  return refuseUsage(`--${name} are numbers with commas between them, not "${text}".`, usage)
}

function readShape({ shape: text, leases, break: breaks }) {
  let shape
  try {
    shape = parseShape(text)
  } catch (error) {
    refuseUsage(`--shape: ${error.message}.`, usage)
  }
  const isSaid = leases !== undefined || BREAKS[breaks]?.life.leases !== undefined
  if (isSaid && Object.hasOwn(shape, 'leases')) {
    const flag = leases === undefined ? `--break ${breaks}` : '--leases'
    refuseUsage(`--shape can't have leases beside ${flag}, which says what they are.`, usage)
  }
  return shape
}

async function runLess({ first: seed, life, breaks }) {
  const { minimize } = await import('../test/simulated/minimize.ts')
  const { rule, what } = BREAKS[breaks] ?? { rule: null, what: 'a broken rule' }
  const least = minimize({ seed, ...life }, (text) => print([text]), rule)
  if (least === null) print([`seed ${seed} has not ${what}`])
  else {
    const { report } = least
    print(describeEnd({ seed, violations: report.violations, report }, least.options, breaks))
  }
  // What is broken on purpose must be found.
  process.exit((least === null) === (breaks === null) ? 0 : 1)
}

async function runAll({ first, last, breaks, record, life }) {
  const { liveMany } = await import('../test/simulated/many.ts')
  const recorder = await openRecorder(record, 'simulate', usage)
  const lives = last - first + 1
  const tally = new Tally(life)
  recorder?.whileRunning(() => tally.figures)
  const found = new AbortController()
  let isStopped = false
  // The threads end first: what they have in memory is removed then.
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      isStopped = true
      found.abort()
    })
  }
  let foundSeed = null
  const progress = setInterval(() => {
    process.stderr.write(`${tally.lives} of ${lives} lives, ${tally.failed} failed\n`)
  }, PROGRESS_MS)
  await liveMany({
    first,
    last,
    life,
    threads: Math.min(availableParallelism(), lives),
    signal: found.signal,
    ended: (end) => {
      tally.add(end)
      const isFound = breaks !== null && end.violations.map(ruleOf).includes(BREAKS[breaks].rule)
      // Lives without syncs break rules at once: the one that lost a write is worth reading.
      const isNews = breaks === 'no-fsync' && end.report !== null ? isFound : isFailed(end)
      if (first === last || isNews) print(describeEnd(end, life, breaks))
      if (!isFound) return
      foundSeed = end.seed
      found.abort()
    },
  })
  clearInterval(progress)
  if (isStopped) process.exit(1)
  print(tally.lines)
  const isGood = tally.failed === 0 && tally.missing.length === 0
  recorder?.end({ isGood, figures: tally.figures })
  if (breaks === null) process.exit(isGood ? 0 : 1)
  const { what } = BREAKS[breaks]
  print([foundSeed === null ? `Nobody found ${what}!` : `Seed ${foundSeed}: ${what}.`])
  process.exit(foundSeed === null || tally.missing.length > 0 ? 1 : 0)
}

function isFailed({ violations }) {
  return violations.length > 0
}

function print(lines) {
  process.stdout.write(`${lines.join('\n')}\n`)
}
