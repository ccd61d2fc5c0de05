import { isOwnName } from './allowed.ts'
import { openDatabase } from './connection.ts'
import type { Reader } from './reader.ts'
import { quoteName } from './token.ts'

/**
 * Writes what a reader sees, at one moment, into a file of its own that any SQLite opens: without
 * our tables, and without a write-ahead file beside it. `look` asks the copy's own tables one
 * number before they go. The file must not be there yet, and is on the disk afterwards.
 */
export function exportTo(reader: Reader, path: string, look: string): number {
  // It keeps the rowids of tables without a key, which VACUUM in place does not.
  reader.internal(() => reader.own('VACUUM INTO ?').run(path))
  const { db } = openDatabase(path, false, { doubleQuotedStrings: reader.doubleQuotedStrings })
  try {
    const [number] = db.prepare(look).get() as unknown as [bigint]
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    db.exec('BEGIN')
    for (const [name] of names as unknown as [string][]) {
      if (isOwnName(name)) db.exec(`DROP TABLE ${quoteName(name)}`)
    }
    db.exec('COMMIT')
    return Number(number)
  } finally {
    db.close()
  }
}
