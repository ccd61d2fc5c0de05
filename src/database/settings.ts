import {
  type ConnectionSettings,
  type DatabaseLimits,
  Reader,
  type Writer,
} from '../sqlite/sqlite.ts'
import { databasePath, hasFile, SYSTEM } from './generation.ts'

const SELECT_LIMITS = 'SELECT name, value FROM _colmena_limits'

/** SQLite's limits that this cluster began with, from its system database. */
export function readLimits(system: Pick<Writer, 'own'>): DatabaseLimits {
  const rows = system.own(SELECT_LIMITS).all() as unknown as [string, bigint][]
  return Object.fromEntries(rows.map(([name, value]) => [name, Number(value)]))
}

/** How to connect to a database of a generation that the storage thread may be writing to. */
export function readSettings(generationDirectory: string): ConnectionSettings {
  const path = databasePath(generationDirectory, SYSTEM)
  // A generation that another one took the place of is gone: what is opened there is stale.
  if (!hasFile(path)) return {}
  const system = new Reader(path)
  try {
    return system.internal(() => ({ limits: readLimits(system) }))
  } finally {
    system.close()
  }
}
