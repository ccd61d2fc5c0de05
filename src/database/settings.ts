import { ColmenaError } from '../base/errors.ts'
import {
  type ConnectionSettings,
  type DatabaseLimits,
  Reader,
  type Writer,
} from '../sqlite/sqlite.ts'
import { databasePath, hasFile, SYSTEM } from './generation.ts'

const SELECT_LIMITS = 'SELECT name, value FROM _colmena_limits'
const SELECT_DATABASE =
  'SELECT double_quoted_strings FROM _colmena_databases WHERE name = ? AND dropped_index IS NULL'

/** A database as a handle or a command asks for it. */
export interface AskedDatabase {
  readonly database: string
  /** Undefined takes it as it is; without double-quoted strings where it does not exist yet. */
  readonly doubleQuotedStrings?: boolean | undefined
  /** Whether all nodes keep the rows that change in it; undefined as above. */
  readonly changes?: boolean | undefined
}

/** SQLite's limits that this cluster began with, from its system database. */
export function readLimits(system: Pick<Writer, 'own'>): DatabaseLimits {
  const rows = system.own(SELECT_LIMITS).all() as unknown as [string, bigint][]
  return Object.fromEntries(rows.map(([name, value]) => [name, Number(value)]))
}

/**
 * How to connect to a database of a generation that the storage thread may be writing to. Where it
 * does not exist, `doubleQuotedStrings` is undefined.
 */
export function readSettings(generationDirectory: string, database: string): ConnectionSettings {
  const path = databasePath(generationDirectory, SYSTEM)
  // A generation that another one took the place of is gone: what is opened there is stale.
  if (!hasFile(path)) return {}
  const system = new Reader(path)
  try {
    return system.internal(() => {
      const [strings] = (system.own(SELECT_DATABASE).get(database) ?? []) as unknown as [bigint?]
      const limits = readLimits(system)
      return { limits, doubleQuotedStrings: strings === undefined ? undefined : strings !== 0n }
    })
  } finally {
    system.close()
  }
}

/**
 * Why what is asked of a database can't be had, null if it can: what it was made with stays. A
 * setting that is not known here is not looked at.
 */
export function refusedSettings(
  { database, doubleQuotedStrings, changes }: AskedDatabase,
  made: Omit<AskedDatabase, 'database'>,
): ColmenaError | null {
  return (
    refusedSetting(
      database,
      'doubleQuotedStrings',
      doubleQuotedStrings,
      made.doubleQuotedStrings,
    ) ?? refusedSetting(database, 'changes', changes, made.changes)
  )
}

function refusedSetting(
  database: string,
  name: string,
  asked: boolean | undefined,
  made: boolean | undefined,
): ColmenaError | null {
  if (asked === undefined || made === undefined || asked === made) return null
  return new ColmenaError(
    'ERR_INVALID_OPTION',
    `database '${database}' was asked for with ${name} ${asked}, but was made with ` +
      `${made}, which stays: leave the option out, or drop the database first`,
  )
}
