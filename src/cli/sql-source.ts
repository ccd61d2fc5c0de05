import { createReadStream } from 'node:fs'
import { CliError } from './failure.ts'
import { type ImportSource, UNIT_BYTES, type Unit } from './import-source.ts'
import { StatementSplitter } from './statements.ts'

/** What dumps say around their data: units are transactions here, and pragmas the reader's. */
const FRAME = /^(begin|commit|end|savepoint|release|pragma|analyze)\b/i
const CREATION =
  /^create\s+(table|view)\s+(?:if\s+not\s+exists\s+)?("(?:[^"]|"")+"|\[[^\]]+\]|`[^`]+`|\w+)/i
const COMMENTS = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*/

/** A file of SQL statements, such as `sqlite3 FILE .dump` writes. */
export class SqlSource implements ImportSource {
  readonly makes: null = null
  readonly rows: null = null
  readonly leftOut: readonly string[] = []
  readonly #path: string
  readonly #replaces: boolean

  /** `replaces`: what a statement makes is dropped first. */
  constructor(path: string, replaces: boolean) {
    this.#path = path
    this.#replaces = replaces
  }

  async *units(): AsyncIterable<Unit> {
    let statements: string[] = []
    let bytes = 0
    for await (const text of this.#statements()) {
      const statement = text.replace(COMMENTS, '')
      if (/^rollback\b/i.test(statement)) {
        throw new CliError(
          `${this.#path} takes back what it says: the dump has failed in the middle`,
        )
      }
      if (FRAME.test(statement)) continue
      const [, kind, name] = CREATION.exec(statement) ?? []
      if (this.#replaces && name !== undefined) statements.push(`DROP ${kind} IF EXISTS ${name}`)
      statements.push(statement)
      bytes += statement.length
      if (bytes < UNIT_BYTES) continue
      yield toUnit(statements)
      statements = []
      bytes = 0
    }
    if (statements.length > 0) yield toUnit(statements)
  }

  close(): void {}

  async *#statements(): AsyncIterable<string> {
    const splitter = new StatementSplitter()
    for await (const text of createReadStream(this.#path, 'utf8')) {
      yield* splitter.push(text as string)
    }
    if (splitter.rest !== '') yield splitter.rest
  }
}

function toUnit(statements: readonly string[]): Unit {
  const rows = statements.filter((sql) => /^(insert|replace)\b/i.test(sql)).length
  return { statements: statements.map((sql) => ({ sql })), rows }
}
