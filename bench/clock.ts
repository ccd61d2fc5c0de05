import { setTimeout as sleep } from 'node:timers/promises'

const OFFSET_MS = Number(process.hrtime.bigint()) / 1e6 - performance.now()
const POLL_MS = 5

/** Monotonic, and the same in all processes of this machine. */
export function monotonicMs(): number {
  return performance.now() + OFFSET_MS
}

export function pause(durationMs: number): Promise<void> {
  return sleep(durationMs)
}

/** Resolves with the first value that is neither false nor null. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs = 60_000,
): Promise<Exclude<T, false | null>> {
  const startedMs = monotonicMs()
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null) return value as Exclude<T, false | null>
    if (monotonicMs() - startedMs > deadlineMs) {
      throw new Error(`within ${deadlineMs / 1000} s it did not come to this: ${what}`)
    }
    await pause(POLL_MS)
  }
}
