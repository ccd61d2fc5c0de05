/**
 * A call that waits and has a deadline. It is a link of its own list, so that the hot path neither
 * allocates nor arms a timer per call.
 */
export abstract class Waiting {
  /** When the call was made; filled in by {@link Deadlines}, as all that follows. */
  sinceMs = 0
  older: Waiting | null = null
  newer: Waiting | null = null
  isListed = false

  /** The deadline passed; the call has left the list already. */
  abstract expire(): void
}

/**
 * Deadlines of calls that all may take equally long: the oldest call is always the next to expire,
 * so a list and one timer are enough.
 */
export class Deadlines {
  readonly #timeoutMs: number
  readonly #nowMs: () => number
  #oldest: Waiting | null = null
  #newest: Waiting | null = null
  #timer: NodeJS.Timeout | null = null

  constructor(timeoutMs: number, nowMs: () => number) {
    this.#timeoutMs = timeoutMs
    this.#nowMs = nowMs
  }

  get timeoutMs(): number {
    return this.#timeoutMs
  }

  add(call: Waiting): void {
    call.sinceMs = this.#nowMs()
    call.older = this.#newest
    call.newer = null
    call.isListed = true
    if (this.#newest === null) this.#oldest = call
    else this.#newest.newer = call
    this.#newest = call
    this.#timer ??= setTimeout(() => this.#sweep(), this.#timeoutMs)
  }

  /** Does nothing for a call that expired, or was removed before. */
  remove(call: Waiting): void {
    if (!call.isListed) return
    call.isListed = false
    if (call.older === null) this.#oldest = call.newer
    else call.older.newer = call.newer
    if (call.newer === null) this.#newest = call.older
    else call.newer.older = call.older
    call.older = null
    call.newer = null
  }

  /** Nothing expires any more. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #sweep(): void {
    this.#timer = null
    const nowMs = this.#nowMs()
    const expiredMs = nowMs - this.#timeoutMs
    while (this.#oldest !== null && this.#oldest.sinceMs <= expiredMs) {
      const call = this.#oldest
      this.remove(call)
      call.expire()
    }
    if (this.#oldest === null || this.#timer !== null) return
    // A timer may fire a little before its time; rounding up keeps it from firing in a row.
    const leftMs = Math.max(1, Math.ceil(this.#oldest.sinceMs - expiredMs))
    this.#timer = setTimeout(() => this.#sweep(), leftMs)
  }
}
