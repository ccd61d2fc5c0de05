import { AsyncLocalStorage } from 'node:async_hooks'
import { invalid, show } from './arguments.ts'
import type { NodeCore } from './node-core.ts'
import type { Transaction } from './transaction.ts'
import type { TransactionMode } from './transaction-reads.ts'

/** The transaction that the present work runs in. */
interface Scope {
  readonly core: NodeCore
  readonly database: string
  readonly transaction: Transaction
}

const scope = new AsyncLocalStorage<Scope>()
const MODES: readonly unknown[] = ['write', 'read', 'deferred']

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkMode(mode: unknown): TransactionMode {
  if (mode === undefined) return 'write'
  if (MODES.includes(mode)) return mode as TransactionMode
  throw invalid(
    `the mode of the transaction is ${show(mode)}; it can be 'write', 'read', 'deferred'`,
  )
}

/**
 * Refuses what would wait for the very transaction that it is called from.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 */
export function refuseNested(core: NodeCore, database: string): void {
  const outer = scope.getStore()
  if (outer === undefined || outer.core !== core || outer.database !== database) return
  if (outer.transaction.closed || outer.transaction.mode === 'read') return
  throw invalid(
    `inside a transaction on database '${database}' it is written to through the transaction ` +
      'itself: db would wait for its end. Use tx.execute, or tx.transaction for a nested one',
  )
}

/** Commits once `work` resolves, and rolls back if it rejects or left a statement behind. */
export async function runTransaction<T>(
  core: NodeCore,
  database: string,
  transaction: Transaction,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  try {
    const value = await scope.run({ core, database, transaction }, () => work(transaction))
    if (!transaction.closed) await transaction.commit()
    return value
  } catch (error) {
    transaction.close()
    throw error
  }
}
