import type { Cancel, Clock } from '../base/ports.ts'
import type { Log } from '../log/log.ts'

/** What a relaxed node acknowledged is on its way to the disk after so long at most. */
export const FLUSH_EVERY_MS = 100

/** Flushes a relaxed log for as long as it is open, also while nothing else happens. */
export class Flushing {
  readonly #log: Pick<Log, 'flush'>
  readonly #clock: Clock
  #cancel: Cancel = () => {}

  constructor(log: Pick<Log, 'flush'>, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  start(): void {
    this.#cancel = this.#clock.setTimer(FLUSH_EVERY_MS, () => {
      this.start()
      this.#log.flush()
    })
  }

  stop(): void {
    this.#cancel()
  }
}
