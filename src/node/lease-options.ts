import { checkSignal, invalid, show } from './arguments.ts'
import { checkKeys } from './nearest.ts'

/** What a write can be bound to: a lock, or anything else that has the token of one. */
export interface Fence {
  /** Rises with each lock that anybody in the cluster gets. */
  readonly token: number
}

/** A lock as those see it who may not release it. */
export interface Lease extends Fence {
  readonly key: string
  /**
   * Aborted with ERR_FENCED once it is lost, or may be: what was begun under it should end. What
   * it protects is protected by `{ fence }`, whoever hears of this in time or not.
   */
  readonly signal: AbortSignal
}

export interface LockOptions {
  /** The lock ends so long after it was last renewed, 100 ms to a day; see {@link Lease.signal}. */
  readonly ttlMs: number
  /**
   * How long to wait for another holder; 0 not at all.
   *
   * @defaultValue `requestTimeoutMs` of `open`
   */
  readonly waitMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface OnceOptions {
  /** How long a result is kept and shared, from its end on; at most a year. */
  readonly ttlMs: number
  /**
   * The same for a failure; without it the next caller runs again.
   *
   * @defaultValue 0
   */
  readonly errorTtlMs?: number | undefined
  /**
   * So long after its node died another caller may run, 100 ms to a day.
   *
   * @defaultValue 10000
   */
  readonly leaseMs?: number | undefined
  /**
   * How long to wait for a caller that runs; 0 not at all.
   *
   * @defaultValue `requestTimeoutMs` of `open`
   */
  readonly waitMs?: number | undefined
  /** Ends the wait alone: what runs goes on. */
  readonly signal?: AbortSignal | undefined
}

const LEASE_MS_MIN = 100
const LEASE_MS_MAX = 24 * 60 * 60 * 1000
const KEPT_MS_MAX = 365 * LEASE_MS_MAX
const WAIT_MS_MAX = 2 ** 31 - 1
const LEASE_MS_DEFAULT = 10_000
const KEY_LENGTH_MAX = 512

const LOCK_KEYS = ['ttlMs', 'waitMs', 'signal']
const ONCE_KEYS = ['ttlMs', 'errorTtlMs', 'leaseMs', 'waitMs', 'signal']

type Complete<T> = { readonly [Name in keyof T]-?: Exclude<T[Name], undefined> }

export type CheckedLock = Complete<Omit<LockOptions, 'signal'>> & Pick<LockOptions, 'signal'>
export type CheckedOnce = Complete<Omit<OnceOptions, 'signal'>> & Pick<OnceOptions, 'signal'>

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkKey(key: unknown): void {
  if (typeof key === 'string' && key.length > 0 && key.length <= KEY_LENGTH_MAX) {
    if (key.isWellFormed()) return
  }
  const what = typeof key === 'string' ? `text of ${key.length} characters` : typeof key
  throw invalid(`the key is ${what}; it must be well-formed text of 1 to ${KEY_LENGTH_MAX}`)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkLockOptions(options: unknown, waitMsDefault: number): CheckedLock {
  const { ttlMs, waitMs, signal } = named<LockOptions>(options, LOCK_KEYS, 'lock')
  return {
    ttlMs: wholeMs('ttlMs', ttlMs, LEASE_MS_MIN, LEASE_MS_MAX),
    waitMs: wholeMs('waitMs', waitMs ?? waitMsDefault, 0, WAIT_MS_MAX),
    signal: checkSignal(signal),
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkOnceOptions(options: unknown, waitMsDefault: number): CheckedOnce {
  const given = named<OnceOptions>(options, ONCE_KEYS, 'once')
  const { ttlMs, errorTtlMs = 0, leaseMs = LEASE_MS_DEFAULT, waitMs, signal } = given
  return {
    ttlMs: wholeMs('ttlMs', ttlMs, 1, KEPT_MS_MAX),
    errorTtlMs: wholeMs('errorTtlMs', errorTtlMs, 0, KEPT_MS_MAX),
    leaseMs: wholeMs('leaseMs', leaseMs, LEASE_MS_MIN, LEASE_MS_MAX),
    waitMs: wholeMs('waitMs', waitMs ?? waitMsDefault, 0, WAIT_MS_MAX),
    signal: checkSignal(signal),
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT: a fence that is none must not let a write through. */
export function checkFence(fence: unknown): void {
  const token: unknown =
    typeof fence === 'object' && fence !== null && 'token' in fence && fence.token
  if (typeof token === 'number' && Number.isSafeInteger(token) && token > 0) return
  throw invalid('fence must be a lock, or an object with the token of one')
}

function named<T>(options: unknown, keys: readonly string[], of: string): T {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(`${of} takes options as its second argument, such as { ttlMs: 30_000 }`)
  }
  checkKeys(options, keys, invalid, ` of ${of}`)
  return options as T
}

function wholeMs(name: string, value: unknown, leastMs: number, mostMs: number): number {
  if (typeof value === 'number' && Number.isInteger(value)) {
    if (value >= leastMs && value <= mostMs) return value
  }
  throw invalid(`${name} is ${show(value)}; it must be whole, from ${leastMs} to ${mostMs}`)
}
