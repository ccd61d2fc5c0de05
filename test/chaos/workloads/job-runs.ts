import { RUNS_SCHEMA } from '../../processes/job-handlers.ts'
import { until } from '../../processes/wait.ts'
import type { Client } from '../client.ts'
import type { Rig } from '../rig.ts'
import type { Books, Query, Workload } from './workload.ts'

/** Beyond what a clock that was put forward holds up retries. */
const SETTLE_MS = 90_000
const OPTIONS = {
  // A handler in twenty hangs, and their workers are killed, paused and cut off.
  timeoutMs: 2_000,
  maxAttempts: 1_000,
  backoff: { baseMs: 100, maxMs: 1_000 },
} as const

/**
 * Jobs whose handlers throw, hang and lose their worker, on nodes in trouble: each one that was
 * made succeeds in the end, and what it does under its fence is there once.
 */
export class JobRuns implements Workload {
  readonly name: string = 'jobs'
  readonly clients: number = 3
  readonly schema: readonly string[] = RUNS_SCHEMA
  readonly ids: string = 'SELECT n FROM successes'
  readonly #books: Books

  constructor(books: Books) {
    this.#books = books
  }

  async step(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const { ledger, record } = this.#books
    const n = ledger.next()
    const made = await client.call(seat, 'enqueue', 'free', { n }, OPTIONS)
    ledger.settle(n, made.fate)
    record.note(this.name, 'enqueue', client.number, made, n, made.value?.id ?? null)
  }

  finish(): void {}

  /** @throws Error where jobs are not over in time */
  async settle(rig: Rig): Promise<void> {
    const open = 'SELECT count(*) AS n FROM colmena_jobs WHERE finished_at IS NULL'
    await until(
      'all jobs are over',
      async () => {
        const answer = await rig.seat(0).handle?.call('execute', open)
        return Number(answer?.rows[0]?.['n']) === 0
      },
      SETTLE_MS,
    )
  }

  judgeEnd(query: Query, where: string): void {
    const { verdict } = this.#books
    const others = "SELECT id, state FROM colmena_jobs WHERE state <> 'succeeded'"
    for (const [id, state] of query(others)) {
      verdict.add('lost', `${where}: job ${id} is ${state}`)
    }
    const again = 'SELECT job, count(*) FROM successes GROUP BY job HAVING count(*) > 1'
    for (const [id, times] of query(again)) {
      verdict.add('duplicated', `${where}: job ${id} succeeded ${times} times`)
    }
  }
}
