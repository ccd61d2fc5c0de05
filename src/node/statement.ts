import { release } from '../base/bytes.ts'
import {
  type InputValue,
  type SqlValue,
  type Statement,
  type StatementArgs,
  toSqlValue,
} from '../command/command.ts'
import { invalid } from './arguments.ts'

/** Arguments: by position, or by name with or without the `:`, `@` or `$` before it. */
export type InputArgs = readonly InputValue[] | Readonly<Record<string, InputValue>>

/** A statement with its arguments. */
export interface InputStatement {
  readonly sql: string
  readonly args?: InputArgs | undefined
}

/** What `batch` takes as one statement. */
export type BatchStatement = string | InputStatement | readonly [sql: string, args?: InputArgs]

const TRANSACTION_WORD = /^\s*(begin|commit|end|rollback)\b(.*)/is
const NO_ARGS: readonly SqlValue[] = Object.freeze([])
/** SQLite's own bound of one statement's parameters. */
const ARGS_MAX = 32_766

/**
 * Checks and converts what a caller passed. Its buffers are still the caller's: what outlives the
 * call needs {@link keepStatement}.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 */
export function toStatement(
  sql: unknown,
  args: unknown,
  exactNumbers = false,
  where = '',
): Statement {
  if (typeof sql !== 'string') {
    throw invalid(
      `${where}the SQL is ${sql === null ? 'null' : `of type ${typeof sql}`}; pass text`,
    )
  }
  return { sql, args: toArgs(args, exactNumbers, where) }
}

/** Converts one entry of a batch. */
export function toBatchStatement(
  input: unknown,
  index: number,
  exactNumbers: boolean | undefined,
): Statement {
  const where = `statement ${index + 1}: `
  if (typeof input === 'string') return toStatement(input, undefined, exactNumbers, where)
  if (Array.isArray(input)) return toStatement(input[0], input[1], exactNumbers, where)
  if (typeof input === 'object' && input !== null) {
    const { sql, args } = input as InputStatement
    return toStatement(sql, args, exactNumbers, where)
  }
  throw invalid(`${where}pass SQL text, { sql, args } or [sql, args]`)
}

/** Converts what `method` was given as its statements. */
export function toStatements(
  statements: unknown,
  method: string,
  exactNumbers?: boolean | undefined,
): Statement[] {
  if (!Array.isArray(statements)) throw invalid(`${method} takes an array of statements`)
  return statements.map((statement, index) => toBatchStatement(statement, index, exactNumbers))
}

export function toArgs(args: unknown, exactNumbers = false, where = ''): StatementArgs {
  if (args === undefined) return NO_ARGS
  if (Array.isArray(args)) {
    checkCount(args.length, where)
    const values: SqlValue[] = new Array(args.length)
    for (let i = 0; i < args.length; i += 1) {
      values[i] = toSqlValue(args[i], `${where}argument ${i + 1}`, exactNumbers)
    }
    return values
  }
  // A Map or a Set has no properties of its own: every parameter would silently be NULL.
  if (typeof args !== 'object' || args === null || Symbol.iterator in args) {
    throw invalid(`${where}args must be an array, or an object of named values`)
  }
  const entries = Object.entries(args)
  checkCount(entries.length, where)
  const named = new Map<string, SqlValue>()
  for (const [name, value] of entries) {
    named.set(
      /^[:@$]/.test(name) ? name.slice(1) : name,
      toSqlValue(value, `${where}argument '${name}'`, exactNumbers),
    )
  }
  return named
}

function checkCount(count: number, where: string): void {
  if (count > ARGS_MAX) throw invalid(`${where}${count} arguments, SQLite takes ${ARGS_MAX}`)
}

/**
 * The statement with buffers of its own. Not before it is taken in: a node that refuses what is too
 * much must not copy it first.
 */
export function keepStatement(statement: Statement): Statement {
  const { sql, args } = statement
  if (args instanceof Map) {
    if (![...args.values()].some(isBytes)) return statement
    return { sql, args: new Map([...args].map(([name, value]) => [name, keepValue(value)])) }
  }
  const values = args as readonly SqlValue[]
  return values.some(isBytes) ? { sql, args: values.map(keepValue) } : statement
}

/** Gives back the memory of a kept statement's buffers, which nobody may read any more. */
export function releaseStatement({ args }: Statement): void {
  for (const value of args instanceof Map ? args.values() : (args as readonly SqlValue[])) {
    if (isBytes(value)) release(value)
  }
}

function keepValue(value: SqlValue): SqlValue {
  return isBytes(value) ? new Uint8Array(value) : value
}

function isBytes(value: SqlValue): value is Uint8Array {
  return value instanceof Uint8Array
}

/** About how many bytes a statement takes on its way, to bound what waits. */
export function statementSizeBytes({ sql, args }: Statement): number {
  let sizeBytes = textSizeBytes(sql) + 16
  for (const value of args instanceof Map ? args.values() : (args as readonly SqlValue[])) {
    sizeBytes += valueSizeBytes(value)
  }
  return sizeBytes
}

function valueSizeBytes(value: SqlValue): number {
  if (typeof value === 'string') return textSizeBytes(value) + 5
  return isBytes(value) ? value.length + 5 : 9
}

/** Exact for what may be large; short text may count as few as a third of its bytes. */
function textSizeBytes(text: string): number {
  return text.length < 4_096 ? text.length : Buffer.byteLength(text)
}

/** What a statement does to the transaction around it, by its text; null for any other. */
export function transactionWord(sql: string): 'begin' | 'commit' | 'rollback' | null {
  const [, word = '', rest = ''] = TRANSACTION_WORD.exec(sql) ?? []
  switch (word.toLowerCase()) {
    case 'begin':
      return 'begin'
    case 'commit':
    case 'end':
      return 'commit'
    case 'rollback':
      return /^\s*(transaction\s+)?to\b/i.test(rest) ? null : 'rollback'
    default:
      return null
  }
}
