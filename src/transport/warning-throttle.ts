import type { Clock } from '../base/ports.ts'
import type { TransportHandlers } from './port.ts'

const REPEAT_MS = 60_000
const SUBJECTS_MAX = 1024

/**
 * Passes on one warning per code, subject and minute: a peer with a wrong secret dials every two
 * seconds, and a stranger as often as it likes.
 */
export class WarningThrottle {
  readonly #clock: Clock
  readonly #handlers: TransportHandlers
  readonly #lastMs = new Map<string, number>()
  #isClosed = false

  constructor(clock: Clock, handlers: TransportHandlers) {
    this.#clock = clock
    this.#handlers = handlers
  }

  /** `subject` is a remote host or a member: never a port, which changes with every try. */
  warn(code: string, subject: string, message: string, cause?: unknown): void {
    if (this.#isClosed) return
    const key = `${code} ${subject}`
    const nowMs = this.#clock.nowMs()
    const lastMs = this.#lastMs.get(key)
    if (lastMs !== undefined && nowMs - lastMs < REPEAT_MS) return
    // Deleting first keeps the map in order of age, so that the first key is the oldest.
    this.#lastMs.delete(key)
    if (this.#lastMs.size >= SUBJECTS_MAX) {
      this.#lastMs.delete(this.#lastMs.keys().next().value as string)
    }
    this.#lastMs.set(key, nowMs)
    this.#handlers.warning(code, message, cause)
  }

  close(): void {
    this.#isClosed = true
  }
}
