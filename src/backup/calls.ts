import { addAbortListener } from 'node:events'
import { ColmenaError } from '../index.ts'
import type { TargetCall } from './objects.ts'
import { show } from './option-checks.ts'

/** One call of a target, under way until it is disposed of. */
export interface Call extends Disposable {
  /** What ends it; the reason is the error to reject with. */
  readonly signal: AbortSignal
}

/** The calls of one target: each ends by its own signal, and all of them as the target closes. */
export class Calls {
  readonly #label: string
  readonly #underWay = new Set<AbortController>()
  #closed: ColmenaError | undefined

  constructor(label: string) {
    this.#label = label
  }

  /** @throws ColmenaError ERR_CLOSED, ERR_ABORTED, ERR_INVALID_ARGUMENT */
  begin({ signal }: TargetCall = {}): Call {
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      const message = `signal is an AbortSignal, not ${show(signal)}`
      throw new ColmenaError('ERR_INVALID_ARGUMENT', message)
    }
    if (this.#closed !== undefined) throw this.#closed
    if (signal?.aborted === true) throw this.#aborted(signal)
    const own = new AbortController()
    this.#underWay.add(own)
    const listener = signal && addAbortListener(signal, () => own.abort(this.#aborted(signal)))
    const end = (): void => {
      this.#underWay.delete(own)
      listener?.[Symbol.dispose]()
    }
    return { signal: own.signal, [Symbol.dispose]: end }
  }

  close(): void {
    this.#closed ??= new ColmenaError('ERR_CLOSED', `${this.#label} was closed`)
    for (const own of this.#underWay) own.abort(this.#closed)
  }

  #aborted(signal: AbortSignal): ColmenaError {
    const message = `a call of ${this.#label} was ended by its signal`
    return new ColmenaError('ERR_ABORTED', message, { cause: signal.reason })
  }
}

/** @throws ColmenaError ERR_ABORTED */
export function checkNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new ColmenaError('ERR_ABORTED', 'the call was ended by its signal', {
    cause: signal.reason,
  })
}

/** The promise's outcome, or the signal's reason where that comes first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  // Nobody else may wait for it, and an error that nobody hears ends the process.
  promise.catch(() => {})
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  using _ = addAbortListener(signal, () => aborted.reject(signal.reason))
  return await Promise.race([promise, aborted.promise])
}

/**
 * The pieces of what is put, asked for one after the other. A source that never gives its next one
 * holds nobody up: the signal ends the wait.
 */
export async function* readPieces(
  content: Uint8Array | AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  signal.throwIfAborted()
  if (content instanceof Uint8Array) {
    yield content
    return
  }
  const source = content[Symbol.asyncIterator]()
  let isOver = false
  try {
    for (;;) {
      const { done, value } = await orAborted(source.next(), signal)
      if (done === true) break
      if (!(value instanceof Uint8Array)) throw noPiece(value)
      yield value
    }
    isOver = true
  } finally {
    // Not awaited: a generator that still waits for its next piece would answer only behind that.
    if (!isOver) source.return?.().then(undefined, () => {})
  }
}

function noPiece(value: unknown): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', `content is of Uint8Arrays, not ${show(value)}`)
}
