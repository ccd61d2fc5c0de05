/** The primary result codes that SQLite answers statements with. */
const PRIMARY: ReadonlyMap<number, string> = new Map([
  [1, 'SQLITE_ERROR'],
  [5, 'SQLITE_BUSY'],
  [7, 'SQLITE_NOMEM'],
  [8, 'SQLITE_READONLY'],
  [9, 'SQLITE_INTERRUPT'],
  [13, 'SQLITE_FULL'],
  [18, 'SQLITE_TOOBIG'],
  [19, 'SQLITE_CONSTRAINT'],
  [20, 'SQLITE_MISMATCH'],
  [23, 'SQLITE_AUTH'],
  [25, 'SQLITE_RANGE'],
])

/** What follows SQLITE_CONSTRAINT_, in the order of SQLite's numbers, from 1. */
const CONSTRAINTS = (
  'CHECK COMMITHOOK FOREIGNKEY FUNCTION NOTNULL PRIMARYKEY TRIGGER UNIQUE VTAB ROWID PINNED ' +
  'DATATYPE'
).split(' ')
const CONSTRAINT = 19

/** SQLite's name of a result code, as detailed as the code is: SQLITE_CONSTRAINT_UNIQUE. */
export function nameSqliteCode(code: number): string {
  const primary = PRIMARY.get(code & 0xff) ?? 'SQLITE_UNKNOWN'
  const detail = (code & 0xff) === CONSTRAINT ? CONSTRAINTS[(code >> 8) - 1] : undefined
  return detail === undefined ? primary : `${primary}_${detail}`
}
