import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Environment, SqlValue, StatementArgs } from '../../src/command/command.ts'
import {
  type ClassifiedFailure,
  type ConnectionSettings,
  classifyFailure,
  Reader,
  type ReaderOptions,
  StatementFailure,
  Writer,
} from '../../src/sqlite/sqlite.ts'

export const ENVIRONMENT: Environment = { wallMs: 1_700_000_000_123, seedHigh: 5, seedLow: 7 }

/** A directory of its own, removed when the test ends. */
export function makeDirectory(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-sqlite-'))
  test.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** A writer on a file of its own, with a transaction and a unit begun. */
export function openWriter(
  test: TestContext,
  options: ConnectionSettings = {},
  path?: string,
): Writer {
  const writer = new Writer(path ?? join(makeDirectory(test), 'a.db'), options)
  test.after(() => writer.close())
  writer.begin()
  writer.resetUnit(ENVIRONMENT, 0)
  return writer
}

export function openReader(test: TestContext, path: string, options: ReaderOptions = {}): Reader {
  const reader = new Reader(path, options)
  test.after(() => reader.close())
  return reader
}

/** Ends a transaction and begins the next, with a unit of its own. */
export function commit(writer: Writer): void {
  writer.commit()
  writer.begin()
  writer.resetUnit(ENVIRONMENT, 0)
}

export function runAll(writer: Writer, ...statements: readonly string[]): void {
  for (const sql of statements) writer.run(sql, [])
}

export function rowsOf(
  runner: Writer | Reader,
  sql: string,
  args: StatementArgs = [],
): readonly (readonly SqlValue[])[] {
  return runner instanceof Writer ? runner.run(sql, args).rows : runner.query(sql, args).rows
}

/** The single value of a query. */
export function scalar(
  runner: Writer | Reader,
  sql: string,
  args: StatementArgs = [],
): SqlValue | undefined {
  return rowsOf(runner, sql, args)[0]?.[0]
}

/** How the failure of a statement in its own savepoint is to be taken; the savepoint is undone. */
export function failureOf(
  writer: Writer,
  sql: string,
  args: StatementArgs = [],
): ClassifiedFailure {
  writer.savepoint()
  try {
    writer.run(sql, args)
  } catch (error) {
    const failure = classifyFailure(error, writer)
    if (writer.inTransaction) writer.rollbackToSavepoint()
    return failure
  }
  throw new Error(`no failure: ${sql}`)
}

/** A matcher for `assert.throws`. */
export function failureWith(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof StatementFailure)) return false
    return error.code === code && message.test(error.message)
  }
}
