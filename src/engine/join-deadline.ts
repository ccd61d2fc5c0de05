import { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'

export interface JoinDeadlineOptions {
  readonly clock: Clock
  readonly joinTimeoutMs: number
  readonly warning: (code: string, message: string) => void
}

/** How long a node tries to get into a cluster, and at what it has failed; each is told once. */
export class JoinDeadline {
  readonly #options: JoinDeadlineOptions
  readonly #failures = new Map<string, string>()
  readonly #atMs: number

  constructor(options: JoinDeadlineOptions) {
    this.#options = options
    this.#atMs = options.clock.nowMs() + options.joinTimeoutMs
  }

  get leftMs(): number {
    return Math.max(0, this.#atMs - this.#options.clock.nowMs())
  }

  /** `isExpected`: it is to be seen at the end, if that comes, and of no interest before. */
  failed(address: string, reason: string, isExpected = false): void {
    if (this.#failures.get(address) !== reason && !isExpected) {
      const message = `can't join through ${address}: ${reason}; trying on`
      this.#options.warning('ERR_JOIN_FAILED', message)
    }
    this.#failures.set(address, reason)
  }

  answered(address: string): void {
    this.#failures.delete(address)
  }

  /** What a joiner fails with that is out of time; `found` is said where nothing has failed. */
  error(found: string): ColmenaError {
    const reasons = [...this.#failures].map(([address, reason]) => `${address}: ${reason}`)
    return new ColmenaError(
      'ERR_JOIN_FAILED',
      `no cluster took this node in within ${this.#options.joinTimeoutMs} ms (${
        reasons.join('; ') || found
      }). Check the addresses, that the cluster has a leader, and the secret`,
      { retryable: true },
    )
  }
}
