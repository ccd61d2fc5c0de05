import type { SqlValue, StatementArgs } from '../command/command.ts'
import { isNamed } from './connection.ts'
import { StatementFailure } from './failure.ts'
import type { Token } from './token.ts'

/** SQLite's own bound of one statement's parameters. */
const PARAMETERS_MAX = 32_766

/**
 * The parameters of one statement. Each gets an argument, and no argument is left over: SQLite
 * would take NULL for what is missing, so that a slip would be stored without a word.
 */
export class Parameters {
  /** As written, with the `:`, `@`, `$` or `?`; null for a plain `?` and a number passed over. */
  readonly names: readonly (string | null)[]
  /** Whether some have names, which node:sqlite binds by these alone. */
  readonly #hasNames: boolean

  constructor(tokens: readonly Token[]) {
    this.names = parameterNames(tokens)
    this.#hasNames = this.names.some(isName)
  }

  /**
   * What to pass to node:sqlite: values by position, behind an object of those with names, which
   * its types know as another overload.
   *
   * @throws StatementFailure ERR_INVALID_ARGUMENT
   */
  bind(args: StatementArgs): readonly SqlValue[] {
    if (isNamed(args)) return behind(this.#byName(args), [])
    const { names } = this
    if (args.length !== names.length) {
      throw invalid(
        `the statement takes ${count(names.length, 'argument')}, and ${args.length} ` +
          `${args.length === 1 ? 'was' : 'were'} passed; null is NULL`,
      )
    }
    if (!this.#hasNames) return args
    const named = names.flatMap((name, at) => (isName(name) ? [[name, args[at] as SqlValue]] : []))
    return behind(
      Object.fromEntries(named),
      args.filter((_, at) => !isName(names[at] ?? null)),
    )
  }

  #byName(args: ReadonlyMap<string, SqlValue>): Record<string, SqlValue> {
    const left = new Set(args.keys())
    for (const [at, name] of this.names.entries()) {
      if (name === null) {
        throw invalid(`parameter ${at + 1} has no name: pass the arguments as an array`)
      }
      if (!args.has(name.slice(1)))
        throw invalid(`no argument for ${name} was passed; null is NULL`)
      left.delete(name.slice(1))
    }
    const [unknown] = left
    if (unknown !== undefined) throw invalid(`the statement has no parameter '${unknown}'`)
    return Object.fromEntries(args)
  }
}

function behind(named: Record<string, SqlValue>, rest: readonly SqlValue[]): readonly SqlValue[] {
  return [named as unknown as SqlValue, ...rest]
}

/** The parameters of a statement that could be prepared, by position. */
function parameterNames(tokens: readonly Token[]): (string | null)[] {
  const names: (string | null)[] = []
  for (const { kind, text } of tokens) {
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

/** Not so a number, which is a position. */
function isName(name: string | null): name is string {
  return name !== null && !name.startsWith('?')
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function invalid(message: string): StatementFailure {
  return new StatementFailure('ERR_INVALID_ARGUMENT', message)
}
