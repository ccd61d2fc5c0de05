import type { UnitResult } from '../command/command.ts'
import { classifyFailure } from '../sqlite/sqlite.ts'
import type { DatabaseFile } from './database-file.ts'
import type { StatementWatch } from './statement-watch.ts'
import { isSqliteError, troubleOf } from './trouble.ts'
import type { PlacedCommand } from './unit.ts'

const DONE: UnitResult = Object.freeze({ ok: true, statements: [] })

/**
 * Compacts a file, for the command at its place in the log.
 *
 * @throws MachineTrouble where this machine can't: the file is as it was.
 */
export function compactFile(
  file: DatabaseFile,
  { index, command }: PlacedCommand,
  watch: StatementWatch | undefined,
): UnitResult {
  watch?.begin()
  watch?.enters(index, 0)
  watch?.starts('VACUUM')
  try {
    file.compact()
    return DONE
  } catch (error) {
    if (!isSqliteError(error)) throw error
    // It brings its own transaction: that none is open afterwards tells nothing.
    const failure = classifyFailure(error, { inTransaction: true })
    if (failure.kind === 'answer') return { ok: false, error: failure.error }
    throw troubleOf(failure, error, `${file.writer.path}, entry ${index}`)
  } finally {
    watch?.look(command.database, index)
  }
}

/** Another SQLite might number rows otherwise. */
export function mixedCompaction(): UnitResult {
  return refused(
    'ERR_MIXED_ENGINES',
    'the members run different builds of SQLite, which may number rows differently: nothing was ' +
      'compacted. Ask again once all run the same; status().engineMix tells',
  )
}

export function compactionOfNothing(database: string): UnitResult {
  return refused('ERR_NOT_FOUND', `there is no database '${database}': nothing was compacted`)
}

function refused(code: string, message: string): UnitResult {
  return { ok: false, error: { code, message, sqliteCode: 0, statementIndex: 0 } }
}
