import { createReadStream } from 'node:fs'
import { type ImportSource, UNIT_BYTES, type Unit } from './import-source.ts'
import { StatementSplitter } from './statements.ts'

/** What dumps say around their data: units are transactions here, and pragmas the reader's. */
const FRAME = /^\s*(begin|commit|end|rollback|savepoint|release|pragma|analyze)\b/i

/** A file of SQL statements, such as `sqlite3 FILE .dump` writes. */
export class SqlSource implements ImportSource {
  readonly makes: null = null
  readonly rows: null = null
  readonly leftOut: readonly string[] = []
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  async *units(): AsyncIterable<Unit> {
    let statements: string[] = []
    let bytes = 0
    for await (const statement of this.#statements()) {
      if (FRAME.test(statement)) continue
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
  const rows = statements.filter((sql) => /^\s*(insert|replace)\b/i.test(sql)).length
  return { statements: statements.map((sql) => ({ sql })), rows }
}
