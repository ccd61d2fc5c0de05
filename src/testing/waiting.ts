import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError } from '../index.ts'
import type { Wait } from './options.ts'

const POLL_MS = 10
/** How long nodes may take to say how they are, once the deadline is over. */
const STATE_MS_MAX = 1_000

export interface Goal<T> {
  /** What has not come yet, in words: 'no node came to lead'. */
  readonly what: () => string
  /** Null until it has come to it; `signal` cuts the look short. */
  readonly look: (signal: AbortSignal) => Promise<T | null>
  /** How everything is, where it does not come to it. */
  readonly describe: (signal: AbortSignal) => Promise<string>
  /** What a wait for it that is over ends with; an ERR_TIMEOUT and no more by default. */
  readonly toError?: ((message: string) => ColmenaError) | undefined
}

/**
 * The last look is after the deadline, so that one that was cut short decides nothing.
 *
 * @throws ColmenaError ERR_TIMEOUT with how everything was, ERR_ABORTED
 */
export async function waitFor<T>({ timeoutMs, signal }: Wait, goal: Goal<T>): Promise<T> {
  const { what, look, describe, toError = timedOut } = goal
  const deadline = AbortSignal.timeout(timeoutMs)
  const ends = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
  while (!ends.aborted) {
    const found = await look(ends)
    if (found !== null) return found
    await pause(POLL_MS)
  }
  if (signal?.aborted) throw abortedError(signal)
  const found = await look(AbortSignal.timeout(STATE_MS_MAX))
  if (found !== null) return found
  throw toError(await explain(timeoutMs, what(), describe))
}

/** With how everything is now. */
export async function timeoutError(
  timeoutMs: number,
  what: string,
  describe: Goal<unknown>['describe'],
): Promise<ColmenaError> {
  return timedOut(await explain(timeoutMs, what, describe))
}

async function explain(
  timeoutMs: number,
  what: string,
  describe: Goal<unknown>['describe'],
): Promise<string> {
  const state = await describe(AbortSignal.timeout(STATE_MS_MAX))
  return `within ${timeoutMs} ms ${what}: ${state}`
}

function timedOut(message: string): ColmenaError {
  return new ColmenaError('ERR_TIMEOUT', message, { retryable: true })
}

function abortedError(signal: AbortSignal): ColmenaError {
  const message = 'the wait was ended by its signal'
  return new ColmenaError('ERR_ABORTED', message, { cause: signal.reason })
}
