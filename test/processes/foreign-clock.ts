/** Loaded before anything else in a process and each of its threads: a wall clock that is off. */
const OFFSET_MS = Number(process.env['TEST_CLOCK_OFFSET_MS'])
const trueNowMs = Date.now

class ForeignDate extends Date {
  constructor(...args: readonly unknown[]) {
    super(...((args.length === 0 ? [ForeignDate.now()] : args) as [number]))
  }

  static override now(): number {
    return trueNowMs() + OFFSET_MS
  }
}

globalThis.Date = ForeignDate as DateConstructor
