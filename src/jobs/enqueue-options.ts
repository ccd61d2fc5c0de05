import { asOptions, checkKeys, checkText, checkWhole, invalid, show } from './invalid.ts'

/** How long a job rests after an attempt that failed. */
export interface Backoff {
  /** After the first one; each further one doubles it. @defaultValue 5000 */
  readonly baseMs?: number | undefined
  /** @defaultValue 3600000 */
  readonly maxMs?: number | undefined
  /** Anything from 0 to that by chance, so that what failed together does not come again together.
   * @defaultValue true */
  readonly jitter?: boolean | undefined
}

export type Priority = 'low' | 'normal' | 'high' | number

export interface EnqueueOptions {
  /** Higher is first: -10, 0, 10, or any whole number up to a million. @defaultValue 'normal' */
  readonly priority?: Priority | undefined
  /** Not before; a time that has passed is now. */
  readonly runAt?: Date | number | undefined
  /** The same from now on, by the cluster's clock. @defaultValue 0 */
  readonly delayMs?: number | undefined
  /** @defaultValue 5 */
  readonly maxAttempts?: number | undefined
  /** As long as one of its type with this key is not finished, another one is not made. */
  readonly uniqueKey?: string | undefined
  /** How long one attempt may take. @defaultValue 300000 */
  readonly timeoutMs?: number | undefined
  readonly backoff?: Backoff | undefined
  /** To find it by. */
  readonly tags?: readonly string[] | undefined
  /** What limits by key count together, within its type. */
  readonly concurrencyKey?: string | undefined
  /** The ids of jobs that must have succeeded before it runs. */
  readonly after?: readonly string[] | undefined
  /** What becomes of it where one of those does not succeed: it fails too, or runs all the same.
   * @defaultValue 'fail' */
  readonly afterFailure?: 'fail' | 'run' | undefined
}

export interface EnqueueConfig {
  readonly priority: number
  readonly runAt: number | null
  readonly delayMs: number
  readonly maxAttempts: number
  readonly uniqueKey: string | null
  readonly timeoutMs: number
  readonly backoff: BackoffConfig
  readonly tags: readonly string[]
  readonly concurrencyKey: string | null
  readonly after: readonly string[] | null
  readonly afterFailure: 'fail' | 'run'
}

export interface BackoffConfig {
  readonly baseMs: number
  readonly maxMs: number
  readonly jitter: boolean
}

const PRIORITIES: Readonly<Record<string, number>> = { low: -10, normal: 0, high: 10 }
const PRIORITY_MAX = 1_000_000
const DAY_MS = 86_400_000
const YEARS_MS = 10 * 366 * DAY_MS
/** A year that nobody means is a mistake in a unit. */
const RUN_AT_MS_MAX = Date.UTC(2200, 0, 1)
/** A schedule's id and a time make one. */
export const JOB_ID_LENGTH_MAX = 160
const TAGS_MAX = 20
const AFTER_MAX = 1_000

const KEYS = [
  ...['priority', 'runAt', 'delayMs', 'maxAttempts', 'uniqueKey', 'timeoutMs', 'backoff', 'tags'],
  ...['concurrencyKey', 'after', 'afterFailure'],
]

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toEnqueueConfig(options: EnqueueOptions): EnqueueConfig {
  checkKeys(options, KEYS, 'a job')
  const { runAt, delayMs, uniqueKey, concurrencyKey, after, afterFailure = 'fail' } = options
  if (runAt !== undefined && delayMs !== undefined) {
    throw invalid('a job has runAt or delayMs, not both')
  }
  if (afterFailure !== 'fail' && afterFailure !== 'run') {
    throw invalid(`afterFailure is 'fail' or 'run', not ${show(afterFailure)}`)
  }
  return {
    priority: toPriority(options.priority ?? 'normal'),
    runAt: runAt === undefined ? null : toTime('runAt', runAt),
    delayMs: checkWhole('delayMs', delayMs ?? 0, 0, YEARS_MS),
    maxAttempts: checkWhole('maxAttempts', options.maxAttempts ?? 5, 1, 1_000),
    uniqueKey: uniqueKey === undefined ? null : checkText('uniqueKey', uniqueKey, 512),
    timeoutMs: checkWhole('timeoutMs', options.timeoutMs ?? 300_000, 1, 7 * DAY_MS),
    backoff: toBackoff(options.backoff ?? {}),
    tags: toTexts('tags', options.tags ?? [], TAGS_MAX, 128),
    concurrencyKey:
      concurrencyKey === undefined ? null : checkText('concurrencyKey', concurrencyKey, 512),
    after: toAfter(after),
    afterFailure,
  }
}

function toPriority(priority: unknown): number {
  if (typeof priority === 'string' && Object.hasOwn(PRIORITIES, priority)) {
    return PRIORITIES[priority] as number
  }
  if (typeof priority !== 'string') {
    return checkWhole('priority', priority, -PRIORITY_MAX, PRIORITY_MAX)
  }
  throw invalid(`priority is 'low', 'normal', 'high' or a number, not ${show(priority)}`)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toTime(name: string, time: unknown): number {
  const ms = time instanceof Date ? time.getTime() : time
  if (Number.isInteger(ms) && (ms as number) >= 0 && (ms as number) <= RUN_AT_MS_MAX) {
    return ms as number
  }
  const shown = time instanceof Date ? `the date ${String(time)}` : show(time)
  throw invalid(
    `${name} is a Date, or whole milliseconds since 1970, up to the year 2200; not ${shown}`,
  )
}

function toBackoff(backoff: unknown): BackoffConfig {
  checkKeys(backoff, ['baseMs', 'maxMs', 'jitter'], 'backoff')
  const { baseMs = 5_000, maxMs = 3_600_000, jitter = true } = backoff as Backoff
  if (typeof jitter !== 'boolean') throw invalid(`jitter is true or false, not ${show(jitter)}`)
  return {
    baseMs: checkWhole('baseMs', baseMs, 0, 7 * DAY_MS),
    maxMs: checkWhole('maxMs', maxMs, 0, 30 * DAY_MS),
    jitter,
  }
}

function toAfter(after: unknown): readonly string[] | null {
  if (after === undefined) return null
  const ids = toTexts('after', after, AFTER_MAX, JOB_ID_LENGTH_MAX)
  return ids.length === 0 ? null : ids
}

/** Options of a key, and those of one job before them. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function mergeOptions(
  defaults: EnqueueOptions | undefined,
  options: EnqueueOptions | undefined,
): EnqueueOptions {
  const given = Object.entries(asOptions(options, 'a job')).filter(
    ([, value]) => value !== undefined,
  )
  const merged: Record<string, unknown> = { ...defaults, ...Object.fromEntries(given) }
  // A time that is given takes the place of a rest that is not.
  if (given.some(([name]) => name === 'runAt') && !given.some(([name]) => name === 'delayMs')) {
    merged['delayMs'] = undefined
  }
  return merged
}

function toTexts(name: string, texts: unknown, most: number, lengthMax: number): readonly string[] {
  if (!Array.isArray(texts) || texts.length > most) {
    throw invalid(`${name} is an array of up to ${most} texts, not ${show(texts)}`)
  }
  return texts.map((text) => checkText(name, text, lengthMax))
}
