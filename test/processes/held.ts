import type { Lock, Transaction } from '../../src/index.ts'

/** What lasts over several calls to a process: locks by their token, transactions by a number. */
export class Held {
  readonly #locks = new Map<number, Lock>()
  readonly #transactions = new Map<number, Transaction>()
  #last = 0

  keepLock(lock: Lock): number {
    this.#locks.set(lock.token, lock)
    return lock.token
  }

  async release(token: number): Promise<boolean> {
    const lock = this.#locks.get(token)
    this.#locks.delete(token)
    return (await lock?.release()) ?? false
  }

  keepTransaction(transaction: Transaction): number {
    this.#last += 1
    this.#transactions.set(this.#last, transaction)
    return this.#last
  }

  /** One that is not there, as before a restart, is nobody's error but the caller's. */
  transaction(number: number): Transaction {
    const transaction = this.#transactions.get(number)
    if (transaction === undefined) throw new Error(`there is no transaction ${number}`)
    return transaction
  }

  async end(number: number, how: 'commit' | 'rollback'): Promise<number> {
    const transaction = this.transaction(number)
    this.#transactions.delete(number)
    if (how === 'rollback') await transaction.rollback()
    else await transaction.commit()
    return transaction.index ?? 0
  }
}
