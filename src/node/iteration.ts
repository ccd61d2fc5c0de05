import { abortedError, checkNotAborted } from './failures.ts'
import type { Listener } from './hooks.ts'

/** What `for await` goes through while somebody writes: it waits for a listener, and ends it. */
export abstract class Iteration<T> implements AsyncIterableIterator<T>, AsyncDisposable {
  readonly #told: AsyncGenerator<T, undefined, undefined>
  protected readonly signal: AbortSignal | undefined
  protected listener: Listener | null = null
  protected isClosed = false

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal
    this.#told = this.#run()
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return this.#told.next()
  }

  /** Ends the iteration; what waits for what comes next is done. */
  async return(): Promise<IteratorResult<T, undefined>> {
    this.isClosed = true
    this.listener?.close()
    return this.#told.return(undefined)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  protected abstract tell(): AsyncGenerator<T, undefined, undefined>

  async *#run(): AsyncGenerator<T, undefined, undefined> {
    const { signal } = this
    checkNotAborted(signal)
    const abort = (): void => this.listener?.close(abortedError(signal as AbortSignal))
    signal?.addEventListener('abort', abort, { once: true })
    try {
      return yield* this.tell()
    } finally {
      signal?.removeEventListener('abort', abort)
      this.listener?.close()
    }
  }
}
