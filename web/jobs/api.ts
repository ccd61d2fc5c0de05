/** How the jobs pages speak with the node that serves them, and what it answers. */
import type {
  AttemptInfo,
  JobInfo,
  JobPage,
  JobState,
  JobsMetrics,
  ScheduleInfo,
  TypeStats,
} from '../../src/jobs/jobs.ts'
import { makeHeaders } from '../cluster/api.ts'

/** What a value is after its way as JSON. */
type Sent<T> = T extends Date
  ? string
  : T extends readonly (infer One)[]
    ? readonly Sent<One>[]
    : T extends object
      ? { readonly [Name in keyof T]: Sent<T[Name]> }
      : T

export type SentJob = Sent<JobInfo>
export type SentAttempt = Sent<AttemptInfo>
export type SentSchedule = Sent<ScheduleInfo>
export type SentPage = Sent<JobPage>

export interface SentStats {
  readonly types: readonly TypeStats[]
  readonly node: JobsMetrics
}

export interface SentSchedules {
  readonly schedules: readonly SentSchedule[]
}

export interface SentJobAndAttempts {
  readonly job: SentJob
  readonly attempts: readonly SentAttempt[]
}

/** The order in which a job goes through them. */
export const STATES: readonly JobState[] = [
  'waiting',
  'pending',
  'running',
  'succeeded',
  'failed',
  'dead',
  'cancelled',
]

/** Why there is no answer that could be shown. */
export class Failure extends Error {
  /** Null where nothing answered. */
  readonly status: number | null

  constructor(status: number | null, message: string, cause?: unknown) {
    super(message, { cause })
    this.status = status
  }

  /** Whether another token could help. */
  get isRefused(): boolean {
    return this.status === 401 || this.status === 403
  }
}

/** @throws Failure */
export async function readJobs(
  path: string,
  token: string | null,
  signal: AbortSignal,
): Promise<unknown> {
  return ask(path, { headers: makeHeaders(token), cache: 'no-store', signal }, '')
}

/** @returns false where it was too late for that. @throws Failure */
export async function tellJobs(path: string, token: string | null): Promise<boolean> {
  const unsure = ', so it is not known whether this was done'
  const answer = await ask(path, { method: 'POST', headers: makeHeaders(token) }, unsure)
  return (answer as { readonly done: boolean }).done
}

async function ask(path: string, options: RequestInit, unsure: string): Promise<unknown> {
  let response: Response
  try {
    response = await fetch(path, options)
  } catch (cause) {
    throw new Failure(null, `the node did not answer${unsure}`, cause)
  }
  let answer: unknown
  try {
    answer = await response.json()
  } catch (cause) {
    const what = `the answer, with status ${response.status}, is not from a node`
    throw new Failure(response.status, `${what}${unsure}`, cause)
  }
  if (response.ok) return answer
  const { error } = answer as { readonly error?: { readonly message: string } }
  throw new Failure(response.status, error?.message ?? `the server answered ${response.status}`)
}
