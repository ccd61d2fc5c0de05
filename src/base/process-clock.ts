/** Milliseconds of a clock that never goes back, the same in every thread of this process. */
export function processNowMs(): number {
  // `performance.now()` would count from the start of its own thread.
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}
