import type { Clock } from '../base/ports.ts'
import { encodeDropDatabase } from '../command/command.ts'

export interface DropsOptions {
  readonly origin: string
  readonly clock: Clock
  readonly askAgainMs: number
  /** After this the caller has its time-out, and nobody asks any more. */
  readonly requestTimeoutMs: number
  /** Takes the command towards the log; losing it is fine, it is sent again. */
  readonly send: (bytes: Uint8Array) => void
}

interface PendingDrop {
  readonly bytes: Uint8Array
  readonly sinceMs: number
  askedMs: number
}

/**
 * Drops of databases on their way into the log, sent again until they are answered. Apply takes
 * each request number of an origin once and in order, so a late copy does nothing.
 */
export class Drops {
  readonly #options: DropsOptions
  readonly #pending = new Map<number, PendingDrop>()

  constructor(options: DropsOptions) {
    this.#options = options
  }

  add(database: string, request: number): void {
    const { origin, clock } = this.#options
    const bytes = encodeDropDatabase({ origin, database, request })
    const askedMs = Number.NEGATIVE_INFINITY
    this.#pending.set(request, { bytes, sinceMs: clock.nowMs(), askedMs })
  }

  /** The databases answered this one. */
  settled(request: number): void {
    this.#pending.delete(request)
  }

  /** To be called while there is a leader and the origin is registered. */
  ask(): void {
    const { clock, askAgainMs, requestTimeoutMs, send } = this.#options
    const nowMs = clock.nowMs()
    for (const [request, drop] of this.#pending) {
      if (nowMs - drop.sinceMs > requestTimeoutMs) this.#pending.delete(request)
      else if (nowMs - drop.askedMs >= askAgainMs) {
        drop.askedMs = nowMs
        send(drop.bytes)
      }
    }
  }
}
