const SQL_CHARACTERS_MAX = 1_000

/** The beginning of a statement, which tells which one it is, for messages and events. */
export function shortenSql(sql: string): string {
  return sql.slice(0, SQL_CHARACTERS_MAX)
}
