import type { Clock } from '../base/ports.ts'
import { encodeRegisterOrigin } from '../command/command.ts'
import { FORMATS } from './settings.ts'

export interface RegistrationOptions {
  readonly memberId: number
  /** This open's origin. */
  readonly origin: string
  /** What the databases hold as this member's origin, '' for none. */
  readonly registered: string
  /** What this open runs SQL with. */
  readonly fingerprint: string
  readonly clock: Clock
  readonly askAgainMs: number
  /** Takes the command towards the log; losing it is fine, it is sent again. */
  readonly send: (bytes: Uint8Array) => void
}

/**
 * Makes this open's origin the member's registered one, which retires those before it. No write
 * leaves before that is applied here, so none can be taken for one of an earlier life.
 */
export class Registration {
  readonly #options: RegistrationOptions
  #registered: string
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(options: RegistrationOptions) {
    this.#options = options
    this.#registered = options.registered
  }

  get isDone(): boolean {
    return this.#registered === this.#options.origin
  }

  /** The databases say who is registered now. */
  changed(registered: string): void {
    this.#registered = registered
    this.askSoon()
  }

  /** The last question may be lost: another leader, another state. */
  askSoon(): void {
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  /** To be called while there is a leader. */
  ask(): void {
    const { clock, askAgainMs, memberId, origin, fingerprint, send } = this.#options
    if (this.isDone || clock.nowMs() - this.#askedMs < askAgainMs) return
    this.#askedMs = clock.nowMs()
    const previous = this.#registered
    const formatMax = FORMATS.formatMax
    send(encodeRegisterOrigin({ memberId, origin, previous, fingerprint, formatMax }))
  }
}
