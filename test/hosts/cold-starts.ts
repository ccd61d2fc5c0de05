import { setTimeout as pause } from 'node:timers/promises'
import { SeededRandom } from '../simulated/random.ts'
import { describeMs } from './figures.ts'
import { Machines, type Way } from './machines.ts'

export interface ColdStartsForm {
  /** How many cold starts, and by which of these, in turn. */
  readonly starts: number
  readonly ways: readonly Way[]
  readonly seed: number
  readonly progress?: (line: string) => void
}

const MACHINES = 5
const VOTERS = 3
const WINDOW_MS = 300
/** Some start within the first one's window, and some when it is over. */
const APART_MS_MAX = 3 * WINDOW_MS
/** One that waits for longer says what for. */
const JOIN_MS_MAX = 60_000
const SETTINGS = {
  discoveryWindowMs: WINDOW_MS,
  expectedVoters: VOTERS,
  stewardMs: 100,
  joinTimeoutMs: JOIN_MS_MAX,
}
const TOLD_EVERY = 10

/**
 * Machines that know nothing start at once, give or take, again and again with empty directories.
 * Each time one cluster comes of it, with all of them in it.
 */
export async function runColdStarts(form: ColdStartsForm): Promise<string[]> {
  const { starts, ways, seed, progress = () => {} } = form
  await using machines = await Machines.open(MACHINES)
  const random = new SeededRandom(seed)
  const formedMs: number[] = []
  const clusters = new Set<string>()
  for (let start = 1; start <= starts; start += 1) {
    const way = ways[(start - 1) % ways.length] as Way
    const delays = machines.places.map(() => random.below(APART_MS_MAX + 1))
    const startedMs = performance.now()
    try {
      const all = delays.map(async (delayMs, at) => {
        await pause(delayMs)
        await machines.start(at, way, SETTINGS)
      })
      await Promise.all(all)
      await machines.untilOne(VOTERS, MACHINES - VOTERS)
    } catch (error) {
      throw new Error(`start ${start} by ${way}, after ${delays} ms: ${error}`, { cause: error })
    }
    formedMs.push(performance.now() - startedMs)
    for (const id of await machines.clusterIds()) clusters.add(id)
    if (clusters.size !== start) throw new Error(`start ${start} made no cluster of its own`)
    await machines.stop()
    for (const at of machines.places) machines.wipe(at)
    if (start % TOLD_EVERY === 0) progress(`${start} cold starts, ${clusters.size} clusters`)
  }
  const where = machines.hosts.missing === null ? 'in network namespaces' : 'on loopback'
  return [
    `${starts} cold starts of ${MACHINES} hosts ${where}, by ${ways.join(', ')} in turn, within ` +
      `${APART_MS_MAX} ms: one cluster each time, ${clusters.size} in all`,
    `until ${VOTERS} of them voted: ${describeMs(formedMs)}`,
  ]
}
