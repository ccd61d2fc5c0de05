import type { Clock } from '../base/ports.ts'
import type { ErrorMessage } from './protocol.ts'

export interface RepeatedOptions {
  readonly clock: Clock
  readonly askAgainMs: number
  /** A command that found no leader for so long is given up. */
  readonly leaderWaitMs: number
  /** After this the caller has its time-out, and nobody asks any more. */
  readonly requestTimeoutMs: number
  /** Takes the command towards the log; losing it is fine, it is sent again. */
  readonly send: (bytes: Uint8Array) => void
  /** What a command that was never sent did not do, for the error. */
  readonly undone: string
  /** It was never sent, and never will be. */
  readonly rejected: (request: number, error: ErrorMessage) => void
}

const NEVER = Number.NEGATIVE_INFINITY

interface PendingCommand {
  readonly bytes: Uint8Array
  readonly sinceMs: number
  wasSent: boolean
  askedMs: number
}

/**
 * Commands on their way into the log that stand in no sequence, sent again until they are answered:
 * drops of databases, and transactions that were tried. Apply lets each through once.
 */
export class Repeated {
  readonly #options: RepeatedOptions
  readonly #pending = new Map<number, PendingCommand>()

  constructor(options: RepeatedOptions) {
    this.#options = options
  }

  /** `request` is the number that the answer names. */
  add(request: number, bytes: Uint8Array): void {
    const sinceMs = this.#options.clock.nowMs()
    this.#pending.set(request, { bytes, sinceMs, wasSent: false, askedMs: NEVER })
  }

  /** The databases answered this one. */
  settled(request: number): void {
    this.#pending.delete(request)
  }

  /** While there is no leader: gives up what has waited too long and was never sent. */
  expire(): void {
    const { clock, leaderWaitMs, undone, rejected } = this.#options
    const oldestMs = clock.nowMs() - leaderWaitMs
    for (const [request, { wasSent, sinceMs }] of this.#pending) {
      if (wasSent || sinceMs > oldestMs) continue
      this.#pending.delete(request)
      rejected(request, {
        code: 'ERR_NO_LEADER',
        message:
          `no leader was found within ${leaderWaitMs} ms, so ${undone}. ` +
          'Is a majority of the voters running and reachable?',
        retryable: true,
        outcome: 'not-applied',
      })
    }
  }

  /** Another leader: what was sent may be lost. */
  askSoon(): void {
    for (const command of this.#pending.values()) command.askedMs = NEVER
  }

  /** To be called while there is a leader and the origin is registered. */
  ask(): void {
    const { clock, askAgainMs, requestTimeoutMs, send } = this.#options
    const nowMs = clock.nowMs()
    for (const [request, command] of this.#pending) {
      if (nowMs - command.sinceMs > requestTimeoutMs) this.#pending.delete(request)
      else if (nowMs - command.askedMs >= askAgainMs) {
        command.askedMs = nowMs
        command.wasSent = true
        send(command.bytes)
      }
    }
  }
}
