import { ColmenaError, SqlError } from '../base/errors.ts'
import type { Statement, Unit } from '../command/command.ts'
import { foreignKeysSetting, splitStatements } from '../sqlite/sqlite.ts'
import type { StatementPlace } from './failures.ts'
import { toMigration } from './migration.ts'
import { transactionWord } from './statement.ts'
import type { Transaction } from './transaction.ts'

export interface ScriptRunner {
  /** Runs a statement that stands in no transaction. */
  readonly run: (statement: Statement, place: StatementPlace) => Promise<unknown>
  readonly begin: () => Promise<Transaction>
  /** Runs what stands where foreign keys are off, all or nothing. */
  readonly migrate: (unit: Unit, place: StatementPlace) => Promise<unknown>
}

/**
 * Runs a script's statements in turn. BEGIN … COMMIT in it is a transaction, and what stands
 * between PRAGMA foreign_keys=OFF and =ON a migration: no connection is the script's own, to have
 * them off from one of its statements to the next.
 */
export async function runScript(sql: string, runner: ScriptRunner): Promise<void> {
  if (typeof sql !== 'string') {
    throw new ColmenaError('ERR_INVALID_ARGUMENT', 'executeMultiple takes SQL text')
  }
  const statements = splitStatements(sql)
  const count = statements.length
  let transaction: Transaction | null = null
  try {
    for (let index = 0; index < count; index += 1) {
      const text = statements[index] as string
      const place = { index, count }
      const word = transactionWord(text)
      if (word === 'begin') {
        if (transaction !== null) throw misplaced(place, 'BEGIN inside of a transaction')
        transaction = await runner.begin()
      } else if (word !== null) {
        if (transaction === null) {
          throw misplaced(place, `${word.toUpperCase()} without a transaction`)
        }
        const ended: Transaction = transaction
        transaction = null
        await (word === 'commit' ? ended.commit() : ended.rollback())
      } else if (transaction !== null) {
        await runInside(transaction, text, place)
      } else if (foreignKeysSetting(text) === 'off') {
        const end = migrationEnd(statements, index + 1)
        await runMigration(statements, index + 1, end, runner)
        index = end
      } else {
        await runner.run({ sql: text, args: [] }, place)
      }
    }
  } finally {
    transaction?.close()
  }
}

/** Where foreign keys are on again, or the script ends. */
function migrationEnd(statements: readonly string[], first: number): number {
  const end = statements.findIndex((sql, at) => at >= first && foreignKeysSetting(sql) === 'on')
  return end < 0 ? statements.length : end
}

/** A BEGIN … COMMIT around all of it says what is so; any other would ask for less. */
async function runMigration(
  statements: readonly string[],
  first: number,
  end: number,
  { migrate }: ScriptRunner,
): Promise<void> {
  const count = statements.length
  const wordAt = (at: number): string | null => transactionWord(statements[at] ?? '')
  const isWrapped = end - first > 1 && wordAt(first) === 'begin' && wordAt(end - 1) === 'commit'
  const [from, to] = isWrapped ? [first + 1, end - 1] : [first, end]
  for (let index = from; index < to; index += 1) {
    const word = wordAt(index)
    if (word === null) continue
    const what = 'where foreign keys are off, which is one transaction already'
    throw misplaced({ index, count }, `${word.toUpperCase()} ${what}`)
  }
  if (from === to) return
  await migrate(toMigration(statements.slice(from, to), undefined).unit, { index: from, count })
}

/** Its error counts the statements of the script. */
async function runInside(
  transaction: Transaction,
  sql: string,
  { index, count }: StatementPlace,
): Promise<void> {
  try {
    await transaction.execute(sql)
  } catch (error) {
    if (!(error instanceof SqlError)) throw error
    const { sqliteCode, sqliteMessage } = error
    const message = `statement ${index + 1} of ${count}: ${sqliteMessage}`
    throw new SqlError(message, { sqliteCode, sqliteMessage, statementIndex: index })
  }
}

function misplaced({ index, count }: StatementPlace, what: string): ColmenaError {
  return new ColmenaError('ERR_REFUSED_SQL', `statement ${index + 1} of ${count} is ${what}`)
}
