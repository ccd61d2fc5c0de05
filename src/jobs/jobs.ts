/**
 * Background jobs in the replicated database: typed handlers, retries, schedules, limits that hold
 * for the whole cluster.
 *
 * A job is a row. Whoever claims it, ends it or frees it does so by a statement that decides on the
 * state at its place in the log, so no attempt runs twice, and what a worker says after its lease
 * is over changes nothing. A handler may run again where a process died with it: what it does must
 * bear that, or be fenced.
 *
 * It leaves to the database: replication, order, time and durability.
 */
export type { Backoff, EnqueueOptions, Priority } from './enqueue-options.ts'
export { Discard, type JobContext, type JobHandler, RetryLater } from './handler.ts'
export { type Job, type JobOptions, type JobStatement, job } from './job.ts'
export type {
  EnqueueArgs,
  EnqueueCallOptions,
  Enqueued,
  JobCallOptions,
  JobReadOptions,
  JobsEvents,
  JobsMetrics,
} from './job-board.ts'
export { Jobs } from './jobs-handle.ts'
export type { Limits, Rate } from './limits.ts'
export type { JobsOptions, Retention } from './options.ts'
export type {
  AttemptInfo,
  JobInfo,
  JobPage,
  JobState,
  ListOptions,
  TypeStats,
} from './queries.ts'
export type { CatchUp, ScheduleInfo, ScheduleOptions } from './schedules.ts'
export type { StandardSchema } from './standard-schema.ts'

import type { ColmenaNode } from '../index.ts'
import { Jobs } from './jobs-handle.ts'
import { type JobsOptions, toJobsConfig } from './options.ts'

/**
 * The jobs of a node's cluster. Nothing is read or written before the first call; handlers run from
 * the first `handle` on.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT
 * @example
 * const jobs = createJobs(node, { workers: 8 })
 * jobs.handle(scrape, async ({ url }, { signal }) => fetchPage(url, signal))
 * const { id } = await jobs.enqueue(scrape, { url })
 */
export function createJobs(node: ColmenaNode, options: JobsOptions = {}): Jobs {
  return new Jobs(node, toJobsConfig(node, options))
}
