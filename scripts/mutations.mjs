/**
 * The proof of the tests: known mistakes, one after the other in a copy of the sources, each of
 * which must be found: by simulated lives from seed 1 on, or by the tests that it names. Prints a
 * table, and ends with status 1 if one was not found.
 */
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { openRecorder, RECORD_USAGE, recordFlag } from './record.mjs'
import { endAtSignals, readFlags, refuseBeside, refuseUsage, requireRuntime } from './runtime.mjs'

requireRuntime()

const SEEDS = 2_000
const usage = [
  'Usage: npm run mutations                  every known mistake must be found',
  '       npm run mutations -- --only ID     this one',
  '       … --seeds N                        within so many lives (default 2000)',
  '       … --cores N                        so many at a time (default: all)',
  '       npm run mutations -- --list        which there are',
  "       npm run mutations -- --hazards     which of them hold the design's rules",
  RECORD_USAGE,
].join('\n')

const { mutations } = await import('../test/mutations/mutations.ts')
const { hazards, mutationsOf } = await import('../test/mutations/hazards.ts')
const { placeOf } = await import('../test/mutations/mutation.ts')
const { Gate } = await import('../test/mutations/gate.ts')
const root = fileURLToPath(new URL('..', import.meta.url))

const options = readOptions()
if (options.hazards) listHazards()
else if (options.list) list()
else await runAll()

function readOptions() {
  const flags = {
    only: { type: 'string', multiple: true },
    seeds: { type: 'string' },
    cores: { type: 'string' },
    list: { type: 'boolean' },
    hazards: { type: 'boolean' },
    ...recordFlag,
  }
  const { values } = readFlags({ options: flags }, usage)
  refuseBeside('hazards', ['list', 'only', 'seeds', 'cores', 'record'], values, usage)
  refuseBeside('list', ['seeds', 'cores', 'record'], values, usage)
  const seeds = count(values, 'seeds', SEEDS)
  const cores = count(values, 'cores', availableParallelism())
  for (const id of values.only ?? []) {
    if (!mutations.some((one) => one.id === id)) {
      refuseUsage(`There is no mutation "${id}".`, usage)
    }
  }
  const wanted = mutations.filter(({ id }) => values.only?.includes(id) ?? true)
  const { list, hazards, record } = values
  if (record !== undefined && wanted.length < mutations.length) {
    refuseUsage('--record is of all mutations.', usage)
  }
  return { wanted, seeds, cores, list, hazards, record }
}

function count(values, name, usual) {
  const value = Number(values[name] ?? usual)
  if (Number.isInteger(value) && value >= 1) return value
  return refuseUsage(`--${name} is a whole number from 1 on, not "${values[name]}".`, usage)
}

function list() {
  print(['id', 'mistake', 'where', 'breaks', 'to be found by'])
  print(['---', '---', '---', '---', '---'])
  for (const mutation of options.wanted) print([...describe(mutation), finder(mutation)])
}

function listHazards() {
  print(['hazard', 'rule', 'held by'])
  print(['---', '---', '---'])
  for (const hazard of hazards) {
    const { number, rule, tests = [], open } = hazard
    const holders = [...mutationsOf(hazard, mutations), ...tests.map((test) => test.join(': '))]
    print([`H${number}`, rule, open === undefined ? holders.join(', ') : `not built: ${open}`])
  }
}

async function runAll() {
  print(['id', 'mistake', 'where', 'breaks', 'found by', 'seed', 'seeds run', 'seconds'])
  print(['---', '---', '---', '---', '---', '---:', '---:', '---:'])
  const recorder = await openRecorder(options.record, 'mutations', usage)
  const queue = [...options.wanted]
  const found = []
  recorder?.whileRunning(() => readFigures(found))
  const gates = Array.from({ length: Math.min(options.cores, queue.length) }, () => new Gate())
  const closeAll = () => {
    for (const gate of gates) gate.close()
  }
  process.on('exit', closeAll)
  endAtSignals()
  await Promise.all(
    gates.map(async (gate) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const verdict = await gate.judge(next, { seeds: options.seeds })
        const { isCaught, by, seed, seedsRun, seconds } = verdict
        found.push({ id: next.id, breaks: next.breaks.join(', '), by, seed, isCaught })
        print([
          ...describe(next),
          isCaught ? by : `NOT FOUND: ${by}`,
          seed ?? '–',
          seedsRun === 0 ? '–' : seedsRun,
          seconds.toFixed(1),
        ])
      }
    }),
  )
  const figures = readFigures(found)
  const { mistakes, caught } = figures
  process.stdout.write(`\n${caught} of ${mistakes} caught\n`)
  const isGood = caught === mistakes
  recorder?.end({ isGood, figures, found })
  process.exit(isGood ? 0 : 1)
}

function readFigures(found) {
  const caught = found.filter(({ isCaught }) => isCaught).length
  return { mistakes: found.length, caught, seeds: options.seeds }
}

function describe(mutation) {
  const { id, bug, breaks } = mutation
  return [id, bug, placeOf(root, mutation), breaks.join(', ')]
}

function finder({ caughtBy }) {
  if ('tests' in caughtBy) return caughtBy.tests.join(', ')
  return caughtBy.lives.leases ? 'lives with leases' : 'lives'
}

function print(cells) {
  const safe = cells.map((cell) => String(cell).replaceAll('|', '\\|'))
  process.stdout.write(`| ${safe.join(' | ')} |\n`)
}
