import { ColmenaError } from '../base/errors.ts'
import type { Writer } from '../sqlite/sqlite.ts'
import { guardOwn } from './trouble.ts'

/**
 * What this code writes, and the newest that it reads: the tables of Colmena's own in all files of
 * a generation. SQLite's user_version of the system database is nobody else's.
 */
const STATE_FORMAT = 1
export const PUT_FORMAT: string = `PRAGMA user_version = ${STATE_FORMAT}`
const SELECT_FORMAT = 'PRAGMA user_version'

/** @throws ColmenaError ERR_UNSUPPORTED_FORMAT */
export function checkFormat(writer: Writer): void {
  const row = guardOwn(writer, writer.path, () => writer.own(SELECT_FORMAT).get())
  const [format] = row as unknown as [bigint]
  if (format <= STATE_FORMAT) return
  throw newerFormat(writer.path, Number(format), STATE_FORMAT)
}

export function newerFormat(path: string, format: number, known: number): ColmenaError {
  return new ColmenaError(
    'ERR_UNSUPPORTED_FORMAT',
    `${path} and the databases beside it are of format ${format}; this version of colmena ` +
      `reads format ${known}. Update colmena on this node`,
  )
}
