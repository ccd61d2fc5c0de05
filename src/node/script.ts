import { ColmenaError, SqlError } from '../base/errors.ts'
import type { Statement } from '../command/command.ts'
import type { StatementPlace } from './failures.ts'
import { transactionWord } from './statement.ts'
import type { Transaction } from './transaction.ts'

export interface ScriptRunner {
  /** Runs a statement that stands in no transaction. */
  readonly run: (statement: Statement, place: StatementPlace) => Promise<unknown>
  readonly begin: () => Promise<Transaction>
}

/** Runs a script's statements in turn; BEGIN … COMMIT in it is a transaction. */
export async function runScript(
  statements: readonly string[],
  { run, begin }: ScriptRunner,
): Promise<void> {
  let transaction: Transaction | null = null
  try {
    for (const [index, sql] of statements.entries()) {
      const place = { index, count: statements.length }
      const word = transactionWord(sql)
      if (word === 'begin') {
        if (transaction !== null) throw misplaced(place, 'BEGIN inside of a transaction')
        transaction = await begin()
      } else if (word !== null) {
        if (transaction === null) {
          throw misplaced(place, `${word.toUpperCase()} without a transaction`)
        }
        const ended: Transaction = transaction
        transaction = null
        await (word === 'commit' ? ended.commit() : ended.rollback())
      } else if (transaction === null) {
        await run({ sql, args: [] }, place)
      } else {
        await runInside(transaction, sql, place)
      }
    }
  } finally {
    transaction?.close()
  }
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
