import { tokenize } from './token.ts'

/** SQLite's own bound of one statement's parameters. */
const PARAMETERS_MAX = 32_766

/**
 * The parameters of a statement that could be prepared, by position: the name as written, with
 * its `:`, `@`, `$` or `?`, or null for a plain `?` and for a number that was passed over.
 */
export function parameterNames(sql: string): (string | null)[] {
  const names: (string | null)[] = []
  for (const { kind, text } of tokenize(sql)) {
    if (kind !== 'parameter') continue
    if (text === '?') names.push(null)
    else if (text.startsWith('?')) nameNumber(names, text)
    else if (!names.includes(text)) names.push(text)
  }
  return names
}

/** A number makes room up to itself. */
function nameNumber(names: (string | null)[], text: string): void {
  const position = Math.min(Number(text.slice(1)), PARAMETERS_MAX)
  while (names.length < position) names.push(null)
  names[position - 1] ??= text
}
