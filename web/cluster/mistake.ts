/** Where in a statement its error is, as far as SQLite's words tell. */

export interface Mistake {
  readonly before: string
  readonly at: string
  readonly after: string
}

const namings: readonly RegExp[] = [
  /near "([^"]+)": syntax error/,
  /no such (?:column|table|function|view|index|collation sequence): (\S+)/,
  /(?:ambiguous column name|wrong number of arguments to function|misuse of aggregate:?) (\w+)/,
]

/** SQLite names a word and no place: the last one of that name is taken, where reading stopped. */
export function findMistake(sql: string, message: string): Mistake | null {
  for (const naming of namings) {
    const named = naming.exec(message)?.[1]
    if (named === undefined) continue
    const word = named.split('.').at(-1) ?? named
    const from = sql.toLowerCase().lastIndexOf(word.toLowerCase())
    if (from < 0) return null
    const to = from + word.length
    return { before: sql.slice(0, from), at: sql.slice(from, to), after: sql.slice(to) }
  }
  return null
}
