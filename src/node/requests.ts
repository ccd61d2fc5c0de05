import { ColmenaError } from '../base/errors.ts'
import { type Deadlines, Waiting } from './deadlines.ts'
import { abortedError, checkNotAborted } from './failures.ts'
import { settlesWithin } from './patience.ts'
import type { WriteOutcome } from './writes.ts'

interface RequestOptions {
  readonly what: string
  readonly timeoutMs: number
  readonly resolve: (value: unknown) => void
  readonly reject: (error: ColmenaError) => void
  readonly settled: () => void
}

class Request extends Waiting {
  readonly #options: RequestOptions

  constructor(options: RequestOptions) {
    super()
    this.#options = options
  }

  override expire(): void {
    const { what, timeoutMs } = this.#options
    this.fail(
      new ColmenaError('ERR_TIMEOUT', `${what}: no answer within ${timeoutMs} ms`, {
        retryable: true,
        outcome: 'unknown',
      }),
    )
  }

  succeed(value: unknown): void {
    this.#options.settled()
    this.#options.resolve(value)
  }

  fail(error: ColmenaError): void {
    this.#options.settled()
    this.#options.reject(error)
  }
}

/** What a request is called in its errors, and who may end the wait. */
export interface RequestCall {
  readonly what: string
  readonly signal?: AbortSignal | undefined
  /** Of this one alone, in place of the common deadline. */
  readonly timeoutMs?: number | undefined
  /** Hands the request over under its number. */
  readonly post: (id: number) => void
}

/** Requests to another thread and their answers, each with the common deadline. */
export class Requests {
  readonly #deadlines: Deadlines
  readonly #pending = new Map<number, Request>()
  #nextId = 1

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines
  }

  /** @throws ColmenaError the other side's error, ERR_TIMEOUT or ERR_ABORTED. */
  ask({ what, signal, timeoutMs: own, post }: RequestCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      checkNotAborted(signal)
      const id = this.#nextId
      this.#nextId += 1
      const timeoutMs = own ?? this.#deadlines.timeoutMs
      let timer: NodeJS.Timeout | null = null
      let abort: (() => void) | null = null
      const settled = (): void => {
        this.#pending.delete(id)
        this.#deadlines.remove(request)
        if (timer !== null) clearTimeout(timer)
        if (abort !== null) signal?.removeEventListener('abort', abort)
      }
      const request = new Request({ what, timeoutMs, resolve, reject, settled })
      if (signal !== undefined) {
        abort = () => request.fail(abortedError(signal, 'unknown'))
        signal.addEventListener('abort', abort, { once: true })
      }
      this.#pending.set(id, request)
      if (own === undefined) this.#deadlines.add(request)
      else timer = setTimeout(() => request.expire(), own)
      post(id)
    })
  }

  /** What became of a write; unknown where no answer comes within `patienceMs`. */
  async outcome(patienceMs: number, post: (id: number) => void): Promise<WriteOutcome> {
    const asked = this.ask({ what: 'outcome', post }).catch(() => 0)
    const index = await settlesWithin(asked, patienceMs)
    if (typeof index !== 'number' || index === 0) return { outcome: 'unknown' }
    return { outcome: 'committed', index }
  }

  /** An answer that nobody waits for any more is nothing. */
  answered(id: number, value: unknown, error: ColmenaError | null): void {
    const request = this.#pending.get(id)
    if (request === undefined) return
    if (error === null) request.succeed(value)
    else request.fail(error)
  }

  failAll(error: ColmenaError): void {
    for (const request of [...this.#pending.values()]) request.fail(error)
  }
}
