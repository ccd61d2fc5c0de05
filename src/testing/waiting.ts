import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError } from '../index.ts'
import type { Wait } from './options.ts'

const POLL_MS = 10
/** How long nodes may take to say how they are, once it has not come to what was waited for. */
const STATE_MS_MAX = 1_000

export interface Goal<T> {
  /** What has not come yet, in words: 'no node came to lead'. */
  readonly what: string
  /** Null until it has come to it; `signal` ends the look. */
  readonly look: (signal: AbortSignal) => Promise<T | null>
  /** How everything is, where it does not come to it. */
  readonly describe: (signal: AbortSignal) => Promise<string>
}

/** @throws ColmenaError ERR_TIMEOUT with how everything was, ERR_ABORTED */
export async function waitFor<T>(
  { timeoutMs, signal }: Wait,
  { what, look, describe }: Goal<T>,
): Promise<T> {
  const deadline = AbortSignal.timeout(timeoutMs)
  const ends = signal === undefined ? deadline : AbortSignal.any([deadline, signal])
  while (!ends.aborted) {
    const found = await look(ends)
    if (found !== null) return found
    await pause(POLL_MS)
  }
  if (signal?.aborted) throw abortedError(signal, what)
  throw await timeoutError(timeoutMs, what, describe)
}

/** With how everything is now. */
export async function timeoutError(
  timeoutMs: number,
  what: string,
  describe: Goal<unknown>['describe'],
): Promise<ColmenaError> {
  const state = await describe(AbortSignal.timeout(STATE_MS_MAX))
  const message = `within ${timeoutMs} ms ${what}: ${state}`
  return new ColmenaError('ERR_TIMEOUT', message, { retryable: true })
}

function abortedError(signal: AbortSignal, what: string): ColmenaError {
  const message = `the wait was ended by its signal; until then ${what}`
  return new ColmenaError('ERR_ABORTED', message, { cause: signal.reason })
}
