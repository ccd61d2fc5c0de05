import { setTimeout as pause } from 'node:timers/promises'
import type { VerifyAnswer } from '../engine/engine.ts'
import { checkSignal, invalid, show } from './arguments.ts'
import { checkNotAborted } from './failures.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'

export type { VerifyAnswer }

export interface VerifyOptions {
  /**
   * How long members may take; whoever has not answered by then is left out.
   *
   * @defaultValue 600,000: a hash reads all content, some 100 MB a second
   */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const VERIFY_MS_MAX = 600_000
const POLL_MS = 50

let lastKey = 0

/** Has the engine ask all members, and waits for what they say. */
export async function verify(core: NodeCore, options: VerifyOptions): Promise<VerifyAnswer> {
  checkKeys(options, ['timeoutMs', 'signal'], invalid, ' of verify')
  const { timeoutMs = VERIFY_MS_MAX, signal } = options
  checkSignal(signal)
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) {
    throw invalid(`timeoutMs is ${show(timeoutMs)}; it must be a whole number from 1 on`)
  }
  lastKey += 1
  const key = lastKey
  await core.request({ method: 'verify', key, timeoutMs }, signal)
  for (;;) {
    const answer = await core.request({ method: 'verified', key }, signal)
    if (answer !== null) return answer as VerifyAnswer
    checkNotAborted(signal)
    await pause(POLL_MS)
  }
}
