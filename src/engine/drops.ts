import type { Clock } from '../base/ports.ts'
import { encodeDropDatabase } from '../command/command.ts'
import type { ErrorMessage } from './protocol.ts'

export interface DropsOptions {
  readonly origin: string
  readonly clock: Clock
  readonly askAgainMs: number
  /** A drop that found no leader for so long is given up. */
  readonly leaderWaitMs: number
  /** After this the caller has its time-out, and nobody asks any more. */
  readonly requestTimeoutMs: number
  /** Takes the command towards the log; losing it is fine, it is sent again. */
  readonly send: (bytes: Uint8Array) => void
  /** It was never sent, and never will be. */
  readonly rejected: (request: number, error: ErrorMessage) => void
}

const NEVER = Number.NEGATIVE_INFINITY

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
    this.#pending.set(request, { bytes, sinceMs: clock.nowMs(), askedMs: NEVER })
  }

  /** The databases answered this one. */
  settled(request: number): void {
    this.#pending.delete(request)
  }

  /** While there is no leader: gives up what has waited too long and was never sent. */
  expire(): void {
    const { clock, leaderWaitMs, rejected } = this.#options
    const oldestMs = clock.nowMs() - leaderWaitMs
    for (const [request, { askedMs, sinceMs }] of this.#pending) {
      if (askedMs !== NEVER || sinceMs > oldestMs) continue
      this.#pending.delete(request)
      rejected(request, {
        code: 'ERR_NO_LEADER',
        message:
          `no leader was found within ${leaderWaitMs} ms, so the database was not dropped. ` +
          'Is a majority of the voters running and reachable?',
        retryable: true,
        outcome: 'not-applied',
      })
    }
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
