/** Seed after seed, all targets in turn, until the time is over; what failed is not run again. */
import { Fuzzer, FuzzFailure } from './fuzzer.ts'
import { targets } from './targets.ts'

export interface FuzzForm {
  readonly durationMs: number
  readonly progress: (line: string) => void
}

/** So many times the cases of `npm test` are of one seed. */
const RUNS_FACTOR = 10
const PROGRESS_MS = 60_000

/** @throws FuzzFailure for all targets that failed, each at its first case that did. */
export async function runFuzz({ durationMs, progress }: FuzzForm): Promise<string[]> {
  const untilMs = performance.now() + durationMs
  const cases = new Map(targets.map(({ name }) => [name, 0]))
  const failures = new Map<string, string>()
  const fuzzer = new Fuzzer()
  const seed = Date.now() % 1_000_000_000
  let round = 0
  let saidMs = performance.now()
  try {
    for (; performance.now() < untilMs; round += 1) {
      for (const { name, runs } of targets) {
        if (failures.has(name) || performance.now() >= untilMs) continue
        try {
          const request = { target: name, seed: seed + round, runs: runs * RUNS_FACTOR }
          const done = await fuzzer.run(request)
          cases.set(name, (cases.get(name) ?? 0) + done.runs)
        } catch (error) {
          if (!(error instanceof FuzzFailure)) throw error
          failures.set(name, error.message)
          progress(error.message)
        }
        if (performance.now() - saidMs < PROGRESS_MS) continue
        saidMs = performance.now()
        progress(`seed ${seed + round}: ${sum(cases)} cases`)
      }
    }
  } finally {
    await fuzzer.close()
  }
  if (failures.size > 0) throw new FuzzFailure([...failures.values()].join('\n'))
  const lines = [...cases].map(([name, count]) => `${name} ${count}`)
  return [`${sum(cases)} cases of seeds ${seed} to ${seed + round - 1}: no rule broken`, ...lines]
}

function sum(cases: ReadonlyMap<string, number>): number {
  return [...cases.values()].reduce((total, count) => total + count, 0)
}
