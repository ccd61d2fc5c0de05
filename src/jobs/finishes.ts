import { ColmenaError, type Database, type ReaderStatement } from '../index.ts'
import type { JobState } from './queries.ts'

interface Finished {
  readonly id: string
  readonly state: JobState
  readonly result: string | null
  readonly error: string | null
  readonly finished_at: number
}

interface Waiter {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: ColmenaError) => void
}

const COLUMNS = 'id, state, result, error, finished_at'
const ONE = `SELECT ${COLUMNS} FROM colmena_jobs WHERE id = ? AND finished_at IS NOT NULL`
/** Times of the log never go back: what has finished since then has this time or a later one. */
const SINCE = `SELECT ${COLUMNS} FROM colmena_jobs WHERE finished_at >= ? ORDER BY finished_at`

/** Who waits here for the ends of jobs, wherever these run. */
export class Finishes {
  readonly #database: Database
  readonly #waiters = new Map<string, Set<Waiter>>()
  #one: ReaderStatement | null = null
  #since: ReaderStatement | null = null
  #seenAt = 0

  constructor(database: Database) {
    this.#database = database
  }

  /** @throws ColmenaError ERR_JOB_FAILED where it ends without success; what the signal says. */
  async wait(id: string, signal: AbortSignal | undefined): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    const waiter: Waiter = { resolve, reject }
    const abort = (): void => {
      reject(
        new ColmenaError('ERR_ABORTED', `nobody waits for job ${id} any more`, {
          cause: signal?.reason,
        }),
      )
    }
    if (signal?.aborted === true) abort()
    signal?.addEventListener('abort', abort, { once: true })
    const waiters = this.#waiters.get(id) ?? new Set()
    this.#waiters.set(id, waiters.add(waiter))
    this.#lookAt(id)
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', abort)
      waiters.delete(waiter)
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id)
    }
  }

  /** Something was applied: some may have finished. */
  look(): void {
    if (this.#waiters.size === 0) {
      this.#seenAt = 0
      return
    }
    this.#since ??= this.#database.reader.prepare(SINCE)
    for (const row of this.#since.all([this.#seenAt]) as unknown as readonly Finished[]) {
      this.#seenAt = row.finished_at
      this.#tell(row)
    }
  }

  #lookAt(id: string): void {
    this.#one ??= this.#database.reader.prepare(ONE)
    const row = this.#one.get([id]) as unknown as Finished | undefined
    if (row !== undefined) this.#tell(row)
    else if (this.#seenAt === 0) this.#seenAt = this.#newest()
  }

  /** What had finished before anybody waited is looked at by its id. */
  #newest(): number {
    const sql = 'SELECT coalesce(max(finished_at), 1) AS at FROM colmena_jobs'
    return Number(this.#database.reader.prepare(sql).get()?.['at'])
  }

  #tell(row: Finished): void {
    for (const { resolve, reject } of this.#waiters.get(row.id) ?? []) {
      if (row.state === 'succeeded') resolve(JSON.parse(row.result ?? 'null'))
      else reject(failureOf(row))
    }
  }

  close(): void {
    const error = new ColmenaError('ERR_CLOSED', 'the jobs of this node are closed')
    for (const waiters of this.#waiters.values()) {
      for (const { reject } of waiters) reject(error)
    }
  }
}

function failureOf({ id, state, error }: Finished): ColmenaError {
  const why = error === null ? '' : `: ${error.split('\n', 1)[0]}`
  return new ColmenaError('ERR_JOB_FAILED', `job ${id} is ${state}${why}`)
}
