/**
 * `performance.now()` counts from the start of its own thread; this offset makes it one clock for
 * all threads of the process. Both stand on the same monotonic clock, so the offset never changes.
 */
const offsetMs = Number(process.hrtime.bigint() / 1000n) / 1000 - performance.now()

/** Milliseconds of a clock that never goes back, the same in every thread of this process. */
export function processNowMs(): number {
  return performance.now() + offsetMs
}
