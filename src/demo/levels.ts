import type { Consistency, Database } from '../index.ts'
import type { LevelFigure } from './protocol.ts'

const LEVELS = ['none', 'lease', 'weak', 'strong'] as const satisfies readonly Consistency[]
const READS = 15
/** Under load fewer have to do. */
const MEASURE_MS_MAX = 500
/** A level that needs a leader has none then. */
const READ_MS_MAX = 500

/** What a read costs at each level on this node, here and now: the median of a few. */
export async function measureLevels(database: Database): Promise<readonly LevelFigure[]> {
  const figures: LevelFigure[] = []
  for (const level of LEVELS) figures.push({ level, p50Ms: await measure(database, level) })
  return figures
}

async function measure(database: Database, consistency: Consistency): Promise<number | null> {
  const durations: number[] = []
  const endMs = performance.now() + MEASURE_MS_MAX
  try {
    while (durations.length < READS && performance.now() < endMs) {
      const startedMs = performance.now()
      const signal = AbortSignal.timeout(READ_MS_MAX)
      await database.execute('SELECT id FROM writes LIMIT 1', [], { consistency, signal })
      durations.push(performance.now() - startedMs)
    }
  } catch {
    // Whatever it was: at this level the node answers nothing now.
    return null
  }
  durations.sort((a, b) => a - b)
  return durations[durations.length >> 1] as number
}
