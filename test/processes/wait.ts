import { setTimeout as pause } from 'node:timers/promises'

const POLL_MS = 20
/** Generous: a loaded machine is slow, and only a bug waits for so long. */
export const DEADLINE_MS = 60_000

/** Resolves with the first value that is neither false nor null nor undefined. */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  deadlineMs: number = DEADLINE_MS,
): Promise<Exclude<T, false | null | undefined>> {
  const startedMs = performance.now()
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null && value !== undefined) {
      return value as Exclude<T, false | null | undefined>
    }
    if (performance.now() - startedMs > deadlineMs) {
      throw new Error(`within ${deadlineMs / 1000} s it did not come to this: ${what}`)
    }
    await pause(POLL_MS)
  }
}
