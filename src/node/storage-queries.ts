import { isColmenaError } from '../base/errors.ts'
import { emptyApplyMetrics, type StorageStatus, SYSTEM } from '../database/database.ts'
import { settlesWithin } from './patience.ts'
import type { Requests } from './requests.ts'

export interface StorageQueriesOptions {
  readonly requests: Requests
  readonly post: (id: number) => void
  /** How long an answer of now is worth waiting for. */
  readonly patienceMs: number
}

/**
 * What the storage thread says of itself. While a statement keeps that thread, just when one wants
 * to know how a node is, it is what it said last, or nothing if it never did.
 */
export class StorageQueries {
  readonly #options: StorageQueriesOptions
  #lastSaid: StorageStatus | null = null

  constructor(options: StorageQueriesOptions) {
    this.#options = options
  }

  /** The cluster's own database is left out. */
  async status(signal: AbortSignal | undefined): Promise<StorageStatus> {
    const asking = this.#ask(signal)
    const lastSaid = this.#lastSaid
    if (lastSaid === null) return asking.catch(nothingSaid)
    // The answer may come when nobody waits for it any more, and so may its failure.
    asking.catch(() => {})
    return (await settlesWithin(asking, this.#options.patienceMs)) ?? lastSaid
  }

  async #ask(signal: AbortSignal | undefined): Promise<StorageStatus> {
    const { requests, post } = this.#options
    const status = (await requests.ask({ what: 'databases', signal, post })) as StorageStatus
    const databases = status.databases.filter(({ name }) => name !== SYSTEM)
    this.#lastSaid = { ...status, databases }
    return this.#lastSaid
  }
}

/** A node that is stuck from its start on must still be able to say so. */
function nothingSaid(error: unknown): StorageStatus {
  if (!isColmenaError(error) || error.code !== 'ERR_TIMEOUT') throw error
  return { databases: [], clockMs: 0, apply: emptyApplyMetrics() }
}
