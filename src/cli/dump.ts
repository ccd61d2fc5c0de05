import { closeSync, openSync, readSync } from 'node:fs'
import { CliError } from './failure.ts'
import { type ForeignDatabase, openTemporary } from './foreign-database.ts'
import { StatementSplitter } from './statements.ts'
import { readText } from './text-file.ts'

/** What dumps say around their data: all of it is one transaction here. */
const FRAME = /^(begin|commit|end|savepoint|release)\b/i
const PRAGMA = /^pragma\b/i
/** Virtual tables come in by the first; the others are content. */
const PRAGMAS_OF_CONTENT = /^pragma\s+(writable_schema|user_version|application_id)\b/i
const COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/
/** How the dumps of others begin. */
const STRANGERS: readonly (readonly [name: string, beginning: RegExp])[] = [
  ['PostgreSQL', /^PGDMP|^-- PostgreSQL database (cluster )?dump/m],
  ['MySQL', /^-- (MySQL|MariaDB) dump|^-- phpMyAdmin|^\/\*M?!\d{5,6}/m],
]
const BEGINNING_BYTES = 4_096
const SQL_SHOWN_CHARS = 80
const CACHE_KIB = 65_536

/**
 * A dump in SQL, such as `sqlite3 FILE .dump` writes, as the database that it makes: a temporary
 * one of SQLite's, which is gone when it is closed. So a dump is all that an SQLite file is:
 * its tables may come in any order, it may write into the schema, and nothing of one that has a
 * fault reaches the cluster.
 *
 * @throws CliError with the statement that fails.
 */
export async function loadDump(path: string): Promise<ForeignDatabase> {
  refuseStranger(path)
  const db = openTemporary()
  try {
    db.exec(`PRAGMA journal_mode = OFF; PRAGMA cache_size = -${CACHE_KIB}; BEGIN`)
    for await (const statement of readStatements(path)) run(db, path, statement)
    // What was written into the schema counts from here on.
    db.exec('COMMIT; PRAGMA writable_schema = RESET')
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

async function* readStatements(path: string): AsyncIterable<string> {
  const splitter = new StatementSplitter()
  for await (const text of readText(path)) yield* splitter.push(text)
  if (splitter.rest !== '') yield splitter.rest
}

function refuseStranger(path: string): void {
  const bytes = Buffer.alloc(BEGINNING_BYTES)
  const descriptor = openSync(path, 'r')
  const length = readSync(descriptor, bytes)
  closeSync(descriptor)
  const beginning = bytes.toString('latin1', 0, length)
  const [name] = STRANGERS.find(([, pattern]) => pattern.test(beginning)) ?? []
  if (name === undefined) return
  throw new CliError(
    `${path} is a dump of ${name}, whose SQL is not SQLite's: bring its tables one by one, as CSV`,
  )
}

function run(db: ForeignDatabase, path: string, text: string): void {
  const statement = text.replace(COMMENTS, '')
  if (/^rollback\b/i.test(statement)) {
    throw new CliError(`${path} takes back what it says: the dump has failed in the middle`)
  }
  if (FRAME.test(statement)) return
  if (PRAGMA.test(statement) && !PRAGMAS_OF_CONTENT.test(statement)) return
  try {
    db.exec(statement)
  } catch (error) {
    const { message } = error as Error
    const shown = statement.slice(0, SQL_SHOWN_CHARS).replaceAll(/\s+/g, ' ')
    const hint = message.startsWith('no such table')
      ? '; a dump makes its own tables: for a script on tables that are there, colmena shell < FILE'
      : ''
    throw new CliError(`${path}: ${message}, at '${shown}'${hint}`, 1, { cause: error })
  }
}
