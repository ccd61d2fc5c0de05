/** What the files of a node that does not run hold. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { checkIntegrity, hashContent, Reader, type ReaderOptions } from '../../src/sqlite/sqlite.ts'

export interface Content {
  readonly hash: string
  /** 'ok', or what SQLite found to be wrong. */
  readonly integrity: string
  readonly ids: readonly string[]
  /** What the writes themselves counted. */
  readonly total: number
}

/** The main database's file: of the one generation that a closed node leaves. */
export function databaseFile(dataDir: string): string {
  const generations = readdirSync(join(dataDir, 'db')).filter((name) => /^\d+$/.test(name))
  const newest = generations.sort((a, b) => Number(a) - Number(b)).at(-1)
  return join(dataDir, 'db', newest ?? 'none', 'main.db')
}

export function readHash(dataDir: string, options: ReaderOptions = {}): string {
  const reader = new Reader(databaseFile(dataDir), options)
  try {
    return hashContent(reader)
  } finally {
    reader.close()
  }
}

/** Of a database with the tables that writers fill. */
export function readContent(dataDir: string): Content {
  const reader = new Reader(databaseFile(dataDir))
  try {
    const { rows: ids } = reader.query('SELECT id FROM writes', [])
    const { rows: totals } = reader.query('SELECT count FROM total', [])
    return {
      hash: hashContent(reader),
      integrity: checkIntegrity(reader),
      ids: ids.map(([id]) => String(id)),
      total: Number(totals[0]?.[0]),
    }
  } finally {
    reader.close()
  }
}
