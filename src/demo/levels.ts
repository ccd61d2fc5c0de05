import type { Consistency, Database } from '../index.ts'
import type { LevelFigure } from './protocol.ts'

const LEVELS = ['none', 'weak', 'strong'] as const satisfies readonly Consistency[]
const READS = 15
/** A level that needs a leader has none then. */
const PATIENCE_MS = 500

/** What a read costs at each level on this node, here and now: the median of a few. */
export async function measureLevels(database: Database): Promise<readonly LevelFigure[]> {
  const figures: LevelFigure[] = []
  for (const level of LEVELS) figures.push({ level, p50Ms: await measure(database, level) })
  return figures
}

async function measure(database: Database, consistency: Consistency): Promise<number | null> {
  const durations: number[] = []
  const signal = AbortSignal.timeout(PATIENCE_MS)
  try {
    for (let i = 0; i < READS; i += 1) {
      const startedMs = performance.now()
      await database.execute('SELECT id FROM writes LIMIT 1', [], { consistency, signal })
      durations.push(performance.now() - startedMs)
    }
  } catch {
    // Whatever it was: at this level the node answers nothing now.
    return null
  }
  durations.sort((a, b) => a - b)
  return durations[READS >> 1] as number
}
