import { ColmenaError } from '../base/errors.ts'
import type { LeaseAnswer, LeaseRequest } from '../command/command.ts'
import type { Lease } from './lease-options.ts'

export interface LockParts {
  readonly key: string
  readonly token: number
  readonly ttlMs: number
  /** When what acquired it was sent: it is held for `ttlMs` from there at least. */
  readonly sinceMs: number
  readonly nowMs: () => number
  readonly send: (request: LeaseRequest) => Promise<LeaseAnswer>
  /** It is held no more, as far as this node is concerned. */
  readonly ended: (lock: Lock) => void
}

/**
 * A lock that this node holds, and renews until {@link release}. Whether it is held, the log alone
 * decides, by the time in its entries: give it to writes as their `fence`, and they are refused
 * once it is not.
 */
export class Lock implements Lease, AsyncDisposable {
  readonly key: string
  readonly token: number
  readonly #parts: LockParts
  readonly #lost = new AbortController()
  #state: 'held' | 'lost' | 'released' = 'held'
  #confirmedMs: number
  #isRenewing = false
  #timer: NodeJS.Timeout | undefined

  constructor(parts: LockParts) {
    this.key = parts.key
    this.token = parts.token
    this.#parts = parts
    this.#confirmedMs = parts.sinceMs
    this.#arm()
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  /** Whether it is held, as far as this node knows. */
  get isHeld(): boolean {
    return this.#state === 'held'
  }

  /**
   * Lets others have it. One that nobody releases ends `ttlMs` after its node did.
   *
   * @returns whether it was held up to now.
   * @throws ColmenaError ERR_NO_LEADER, ERR_TIMEOUT: then it ends by itself.
   */
  async release(): Promise<boolean> {
    const { send } = this.#parts
    if (!this.stop()) return false
    const { what } = await send({ what: 'release', token: this.token })
    return what === 'released'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.release()
  }

  /** Renews it no more. False where it was not held by then. */
  stop(): boolean {
    return this.#end('released')
  }

  /** It can't be counted on any more. */
  lose(why: string): void {
    if (!this.#end('lost')) return
    const message = `the lock '${this.key}' is lost: ${why}. Others may have it now`
    this.#lost.abort(new ColmenaError('ERR_FENCED', message))
  }

  #end(state: 'lost' | 'released'): boolean {
    if (this.#state !== 'held') return false
    this.#state = state
    clearTimeout(this.#timer)
    this.#parts.ended(this)
    return true
  }

  /** Wakes for the next renewal, or at the end of what is certain. */
  #arm(): void {
    const { ttlMs, nowMs } = this.#parts
    const certainMs = this.#confirmedMs + ttlMs - nowMs()
    const delayMs = Math.max(1, Math.min(ttlMs / 3, Math.ceil(certainMs)))
    this.#timer = setTimeout(() => this.#wake(), delayMs).unref()
  }

  #wake(): void {
    const { ttlMs, nowMs } = this.#parts
    if (nowMs() - this.#confirmedMs >= ttlMs) {
      this.lose(`it could not be renewed within ${ttlMs} ms (ttlMs)`)
      return
    }
    this.#arm()
    if (!this.#isRenewing) void this.#renew()
  }

  async #renew(): Promise<void> {
    const { ttlMs, nowMs, send } = this.#parts
    const sentMs = nowMs()
    this.#isRenewing = true
    try {
      const { what } = await send({ what: 'renew', token: this.token, ttlMs })
      if (what === 'held') this.#confirmedMs = sentMs
      else this.lose('it had ended when it was renewed')
    } catch {
      // Tried again with the next turn, as long as there is time.
    } finally {
      this.#isRenewing = false
    }
  }
}
