/** One case again: `npx node test/fuzz/replay.ts TARGET SEED PATH`, as a failure says it. */
import { type Finding, Fuzzer, FuzzFailure } from './fuzzer.ts'

const USAGE = 'Usage: npx node test/fuzz/replay.ts TARGET SEED PATH   as a failure says it'

const CASES_MAX = 1_000_000

interface Case {
  readonly target: string
  readonly seed: number
  readonly path: string
}

const wanted = await readCase(process.argv.slice(2))
const { target, seed, path } = wanted
const finding = await replay(wanted)
// A path is of the inputs as they were made when it was said: later ones may be others, or fewer.
if (finding?.runs === 0) refuse(`There is no case of ${target}, seed ${seed}, at ${path}.`)
if (finding !== null) {
  process.stdout.write(`1 case of ${target}, seed ${seed}, path ${path} holds: ${finding.input}\n`)
}

/** Null says that it failed, which is printed then. */
async function replay(wanted: Case): Promise<Finding | null> {
  const fuzzer = new Fuzzer()
  try {
    return await fuzzer.run({ ...wanted, runs: 1 })
  } catch (error) {
    if (!(error instanceof FuzzFailure)) throw error
    process.stdout.write(`${error.message}\n`)
    process.exitCode = 1
    return null
  } finally {
    await fuzzer.close()
  }
}

async function readCase(args: readonly string[]): Promise<Case> {
  const [target, seed, path, ...others] = args
  if (target === undefined || seed === undefined || path === undefined) {
    refuse('It takes a target, a seed and a path.')
  }
  if (others.length > 0) refuse(`It has no use for "${others.join(' ')}".`)
  if (!/^\d+$/.test(seed) || !Number.isSafeInteger(Number(seed))) {
    refuse(`A seed is a whole number, not "${seed}".`)
  }
  if (!/^\d+(:\d+)*$/.test(path)) refuse(`A path is numbers with colons between, not "${path}".`)
  // To come to a case, all before it are made.
  if (Number(path.split(':')[0]) >= CASES_MAX) refuse(`No run has had ${CASES_MAX} cases.`)
  // Last, as they come with nearly all sources.
  const { targets } = await import('./targets.ts')
  const names = targets.map(({ name }) => name)
  if (!names.includes(target)) refuse(`There is no target "${target}", only ${names.join(', ')}.`)
  return { target, seed: Number(seed), path }
}

function refuse(problem: string): never {
  process.stderr.write(`${problem}\n\n${USAGE}\n`)
  process.exit(2)
}
