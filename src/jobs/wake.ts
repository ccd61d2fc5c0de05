import type { Database } from '../index.ts'

/** When something comes due by its time alone, as of this node's file. */
interface Due {
  readonly due_at: number | null
  readonly tick_at: number | null
  readonly types: number
}

/** Every table whose rows may make work: a write to any of them wakes. */
const WATCHED = `SELECT
  (SELECT min(run_at) FROM colmena_jobs WHERE ready = 0) AS due_at,
  (SELECT min(next_at) FROM colmena_job_schedules) AS tick_at,
  (SELECT count(*) FROM colmena_job_types) AS types`

/** Tells what applies to the tables of jobs, and when their next time has come. */
export class Wake {
  readonly #woken: () => void
  readonly #end = new AbortController()
  readonly #pollMs: number
  #timer: NodeJS.Timeout | undefined
  /** In place of a watch that has failed. */
  #poll: NodeJS.Timeout | undefined
  #watching: Promise<void> = Promise.resolve()

  constructor(woken: () => void, pollMs: number) {
    this.#woken = woken
    this.#pollMs = pollMs
  }

  /** Where the watch fails, as by the loss of what it read from, polling is left. */
  start(database: Database, failed: (error: unknown) => void): void {
    this.#watching = this.#watch(database).catch((error: unknown) => {
      clearTimeout(this.#timer)
      if (this.#end.signal.aborted) return
      if (!database.closed) this.#poll = setInterval(this.#woken, this.#pollMs).unref()
      failed(error)
    })
  }

  async close(): Promise<void> {
    this.#end.abort()
    clearTimeout(this.#timer)
    await this.#watching
    clearInterval(this.#poll)
  }

  async #watch(database: Database): Promise<void> {
    const { signal } = this.#end
    const options = { signal, consistency: 'none' } as const
    for await (const { rows } of database.watch<Due>(WATCHED, [], options)) {
      this.#wakeAt(rows[0])
      this.#woken()
    }
  }

  #wakeAt(due: Due | undefined): void {
    clearTimeout(this.#timer)
    const times = [due?.due_at, due?.tick_at].filter((at) => typeof at === 'number')
    if (times.length === 0) return
    const ms = Math.max(0, Math.min(...times) - Date.now())
    // A timer further off than that would fire at once; polling reaches it.
    if (ms > 2 ** 31 - 1) return
    this.#timer = setTimeout(() => this.#woken(), ms)
    this.#timer.unref()
  }
}
