import { type ApiClient, type CliValue, toWireValue } from './client.ts'
import { usageError } from './failure.ts'
import { StatementSplitter } from './statements.ts'
import { renderResult, resultToJson, toJsonText } from './table.ts'

/** Runs one statement and prints what it answered. */
export async function runExec(
  client: ApiClient,
  sql: string,
  args: readonly string[],
  options: {
    readonly database: string
    readonly text?: boolean
    readonly consistency?: string
    readonly json?: boolean
  },
): Promise<void> {
  const splitter = new StatementSplitter()
  // What comes behind the last semicolon must count as well.
  if (splitter.push(`${sql}\n;`).length > 1) {
    throw usageError('exec takes one statement; colmena shell takes several, from a pipe as well')
  }
  const values = args.map((arg) => toWireValue(options.text === true ? arg : toValue(arg)))
  const { database, consistency } = options
  const result = await client.execute(database, { sql, args: values }, { consistency })
  const output = options.json === true ? toJsonText(resultToJson(result), 2) : renderResult(result)
  process.stdout.write(`${output}\n`)
}

/** What was typed, as SQL would read it. */
function toValue(text: string): CliValue {
  if (text.toLowerCase() === 'null') return null
  if (/^[+-]?\d+$/.test(text)) {
    const value = BigInt(text.replace(/^\+/, ''))
    return BigInt.asIntN(64, value) === value ? value : Number(text)
  }
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text
}
