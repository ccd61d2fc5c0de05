import { ColmenaError, type ErrorCode, isColmenaError } from '../base/errors.ts'
import { decodeJson, encodeJson } from '../base/json-values.ts'
import { abortedError } from './failures.ts'
import type { CheckedOnce, Lease } from './lease-options.ts'
import { type Leases, WAIT_MS_MAX } from './leases.ts'
import type { Lock } from './lock.ts'
import { settlesWithin } from './patience.ts'

/** What a result may take, encoded. */
const RESULT_BYTES_MAX = 1024 * 1024
/** Of each text of a failure that is kept. */
const TEXT_LENGTH_MAX = 16_384
const UNTOLD = 'what was thrown has no text'
const NOTHING = new Uint8Array(0)

type Work = (lease: Lease) => unknown

interface Caller {
  readonly options: CheckedOnce
  readonly work: Work
}

/** The callers of one key on this node, who share what one of them comes to. */
interface Flight {
  /** In the order of their calls. */
  readonly callers: Set<Caller>
  /** Ends the wait for other nodes, once nobody waits here. */
  readonly deserted: AbortController
  /** Somebody runs, here or elsewhere: from here on callers wait for that. */
  readonly begun: PromiseWithResolvers<void>
  /** The caller whose work runs here. */
  running: Caller | null
  /** The encoded result. */
  readonly landed: Promise<Uint8Array>
  readonly fail: (error: ColmenaError) => void
}

/**
 * Work that runs once in the cluster. The callers of one node are one caller to the others. Who
 * gets the lease runs, and keeps the result under its key as it gives the lease back; whoever asks
 * for the lease then gets the result in its place.
 */
export class Once {
  readonly #leases: Pick<Leases, 'obtain' | 'send'>
  readonly #flights = new Map<string, Flight>()

  constructor(leases: Pick<Leases, 'obtain' | 'send'>) {
    this.#leases = leases
  }

  async run(key: string, options: CheckedOnce, work: Work): Promise<unknown> {
    const caller = { options, work }
    const flight = this.#flights.get(key) ?? this.#begin(key)
    flight.callers.add(caller)
    try {
      // A result of its own for each: what one changes in it is not the others'.
      return decodeJson(await wait(key, flight, caller))
    } finally {
      flight.callers.delete(caller)
      if (flight.callers.size === 0) this.#desert(key, flight)
    }
  }

  /** The node has ended: what runs may run on, but what it comes to is kept nowhere. */
  failAll(error: ColmenaError): void {
    for (const flight of this.#flights.values()) flight.fail(error)
  }

  #begin(key: string): Flight {
    const { promise: landed, resolve, reject } = Promise.withResolvers<Uint8Array>()
    const flight: Flight = {
      callers: new Set(),
      deserted: new AbortController(),
      begun: Promise.withResolvers(),
      running: null,
      landed,
      fail: reject,
    }
    this.#flights.set(key, flight)
    // Its callers may all have gone when it lands.
    landed.catch(() => {})
    queueMicrotask(() => {
      this.#fly(key, flight)
        .finally(() => this.#forget(key, flight))
        .then(resolve, reject)
    })
    return flight
  }

  /** The next caller begins anew, and finds in the log what may still run here. */
  #desert(key: string, flight: Flight): void {
    flight.deserted.abort()
    this.#forget(key, flight)
  }

  #forget(key: string, flight: Flight): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key)
  }

  async #fly(key: string, flight: Flight): Promise<Uint8Array> {
    const [first] = flight.callers as Set<Caller>
    const obtained = await this.#leases.obtain({
      purpose: 'once',
      key,
      ttlMs: (first as Caller).options.leaseMs,
      waitMs: WAIT_MS_MAX,
      signal: flight.deserted.signal,
      busy: () => flight.begun.resolve(),
    })
    if ('what' in obtained) {
      if (obtained.isFailure) throw decodeFailure(obtained.result)
      return obtained.result
    }
    const [caller] = flight.callers as Set<Caller>
    if (caller === undefined) {
      await obtained.release()
      throw abortedError(flight.deserted.signal)
    }
    flight.running = caller
    flight.begun.resolve()
    return this.#execute(key, obtained, caller)
  }

  async #execute(key: string, lock: Lock, { options, work }: Caller): Promise<Uint8Array> {
    let result: Uint8Array = NOTHING
    let failure: { readonly error: unknown } | null = null
    try {
      const value = await work(lock)
      const what = `the result of once '${key}'`
      result = encodeJson(value, { what, bytesMax: RESULT_BYTES_MAX })
    } catch (error) {
      failure = { error }
      if (options.errorTtlMs > 0) result = encodeFailure(error)
    }
    try {
      await this.#finish(key, lock, {
        isFailure: failure !== null,
        result,
        keepMs: failure === null ? options.ttlMs : options.errorTtlMs,
      })
    } catch (error) {
      // Else what the work threw says more.
      if (failure === null) throw error
    } finally {
      // Renewed up to now: a lease that ended here would let another caller run.
      lock.stop()
    }
    if (failure !== null) throw failure.error
    return result
  }

  async #finish(
    key: string,
    { token }: Lock,
    kept: { readonly isFailure: boolean; readonly result: Uint8Array; readonly keepMs: number },
  ): Promise<void> {
    const ran = `the work of once '${key}' was done here`
    let what: string
    try {
      what = (await this.#leases.send({ what: 'finish', token, ...kept })).what
    } catch (error) {
      if (!isColmenaError(error)) throw error
      const message = `${ran}, but its result may not be kept: ${error.message}`
      throw new ColmenaError(error.code, message, { cause: error, outcome: 'unknown' })
    }
    if (what !== 'ended') return
    const message =
      `${ran}, but its lease had ended before: another caller may have done it as well. Give the ` +
      'lease to writes as their fence, so that theirs alone apply'
    throw new ColmenaError('ERR_FENCED', message, { outcome: 'unknown' })
  }
}

/** Whoever waits for others does so up to its `waitMs`, whoever runs up to its end. */
async function wait(key: string, flight: Flight, caller: Caller): Promise<Uint8Array> {
  const { landed, begun } = flight
  const { waitMs, signal } = caller.options
  const landedOrBegun = Promise.race([landed, begun.promise])
  await settlesWithin(landedOrBegun, WAIT_MS_MAX, signal)
  const isRunning = (): boolean => flight.running === caller
  const result = await settlesWithin(landed, isRunning() ? WAIT_MS_MAX : waitMs, signal)
  if (result !== undefined) return result
  if (signal?.aborted) throw abortedError(signal, isRunning() ? 'unknown' : 'not-applied')
  if (isRunning()) {
    const late = await settlesWithin(landed, WAIT_MS_MAX, signal)
    if (late !== undefined) return late
    throw abortedError(signal as AbortSignal, 'unknown')
  }
  throw new ColmenaError(
    'ERR_BUSY',
    `once '${key}': another caller runs, and was not done within ${waitMs} ms (waitMs). Try ` +
      'again later',
    { retryable: true },
  )
}

/** Any thrown value: one that can't be kept must not keep the lease. */
function encodeFailure(error: unknown): Uint8Array {
  const bounds = { what: 'a failure', bytesMax: RESULT_BYTES_MAX }
  try {
    return encodeJson(keptFailure(error), bounds)
  } catch {
    return encodeJson({ name: 'Error', message: UNTOLD, ours: null }, bounds)
  }
}

function keptFailure(error: unknown): KeptFailure {
  const { name, message, code } =
    error instanceof Error
      ? { code: undefined, ...error, name: error.name, message: error.message }
      : { name: 'Error', message: error, code: undefined }
  const ours = isColmenaError(error) ? { outcome: error.outcome, retryable: error.retryable } : null
  const kept = { name: keptText(name), message: keptText(message), ours }
  return typeof code === 'string' ? { ...kept, code: keptText(code) } : kept
}

function keptText(value: unknown): string {
  return String(value).slice(0, TEXT_LENGTH_MAX).toWellFormed()
}

interface KeptFailure {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
  readonly ours: Pick<ColmenaError, 'outcome' | 'retryable'> | null
}

function decodeFailure(bytes: Uint8Array): Error {
  const { name, message, code, ours } = decodeJson(bytes) as KeptFailure
  if (ours !== null) return new ColmenaError(code as ErrorCode, message, ours)
  const error = Object.assign(new Error(message), code === undefined ? null : { code })
  error.name = name
  return error
}
