/** Loaded before anything else in a process and each of its threads: a wall clock that is off. */
const OFFSET_MS = process.env['TEST_CLOCK_OFFSET_MS']
const trueNowMs = Date.now

/** From now on the calendar of this thread is off by what `offsetMs` says. */
export function installClock(offsetMs: () => number): void {
  class ForeignDate extends Date {
    constructor(...args: readonly unknown[]) {
      super(...((args.length === 0 ? [ForeignDate.now()] : args) as [number]))
    }

    static override now(): number {
      return trueNowMs() + offsetMs()
    }
  }
  globalThis.Date = ForeignDate as DateConstructor
}

if (OFFSET_MS !== undefined) installClock(() => Number(OFFSET_MS))
