import { setTimeout } from 'node:timers/promises'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { decodeJson, encodeJson } from '../base/json-values.ts'
import { checkSignal, invalid, show } from './arguments.ts'
import { checkNotAborted } from './failures.ts'
import { decodeAnswer, encodeCall, PAYLOAD_BYTES_MAX, readable } from './forward-wire.ts'
import { checkHandler, type Handler, handlerTitle } from './handler.ts'
import { decodeError } from './handler-errors.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'

export interface ForwardOptions {
  /**
   * How long to wait for the answer, a new leader included.
   *
   * @defaultValue `requestTimeoutMs`
   */
  readonly timeoutMs?: number | undefined
  /** Stops waiting. A handler that runs goes on. */
  readonly signal?: AbortSignal | undefined
}

interface Limits {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** Between two looks for a leader. */
const LOOK_AGAIN_MS = 20
/** The engine ends a call in time, and knows better what became of it: this is in case it hangs. */
const ENGINE_MS = 500
const TIMEOUT_MS_MAX = 0x7fff_ffff

/**
 * Has the leader's user handle a request. A call that may have reached a handler is never sent
 * again: who asked must decide, since only they know whether twice does harm.
 *
 * @throws ColmenaError as `ColmenaNode.forward`
 */
export async function forward(
  core: NodeCore,
  handler: Handler<never, unknown>,
  request: unknown,
  options: ForwardOptions,
): Promise<unknown> {
  checkHandler(handler)
  const limits = checkOptions(options, core.config.requestTimeoutMs)
  const title = handlerTitle(handler)
  const bounds = { what: `the request of ${title}`, bytesMax: PAYLOAD_BYTES_MAX }
  const payload = encodeJson(request, bounds)
  try {
    return read(handler, await reach(core, handler, payload, limits))
  } catch (error) {
    if (!isColmenaError(error) || error.code === 'ERR_HANDLER_FAILED') throw error
    const { code, message, retryable, outcome, cause } = error
    throw new ColmenaError(code, `handler ${title}: ${message}`, { retryable, outcome, cause })
  }
}

/** Waits for a leader that takes the call, as long as it is sure that none has. */
async function reach(
  core: NodeCore,
  { key, version }: Handler<never, unknown>,
  payload: Uint8Array,
  { timeoutMs, signal }: Limits,
): Promise<Uint8Array> {
  const sinceMs = performance.now()
  const waitMs = Math.min(timeoutMs, 2 * core.config.electionTimeoutMs)
  for (;;) {
    checkNotAborted(signal)
    const spentMs = performance.now() - sinceMs
    const leftMs = Math.max(1, Math.round(timeoutMs - spentMs))
    const bytes = encodeCall({ key, version, timeoutMs: leftMs, payload })
    try {
      const request = { method: 'forward', bytes, timeoutMs: leftMs } as const
      return (await core.request(request, signal, leftMs + ENGINE_MS)) as Uint8Array
    } catch (error) {
      if (!isColmenaError(error) || !isUnreached(error) || spentMs >= waitMs) throw error
      await setTimeout(LOOK_AGAIN_MS)
    }
  }
}

/** What the handler answered, or threw: it has run, and nothing here takes that back. */
function read(handler: Handler<never, unknown>, bytes: Uint8Array): unknown {
  const [error, value] = ran(() => {
    const { isFailure, payload } = decodeAnswer(bytes)
    return isFailure ? [decodeError(payload), null] : [null, decodeJson(payload)]
  })
  if (error === null) return value
  const message = `handler ${handlerTitle(handler)} failed on the leader: ${error.message}`
  throw new ColmenaError('ERR_HANDLER_FAILED', message, { outcome: 'unknown', cause: error })
}

function checkOptions(input: ForwardOptions, requestTimeoutMs: number): Limits {
  if (typeof input !== 'object' || input === null) {
    throw invalid('the options of forward are an object, such as { timeoutMs: 1000 }')
  }
  checkKeys(input, ['timeoutMs', 'signal'], invalid, ' of forward')
  const { timeoutMs = requestTimeoutMs, signal } = input
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    throw invalid(
      `timeoutMs is ${show(timeoutMs)}; it is a whole number from 1 to ${TIMEOUT_MS_MAX}`,
    )
  }
  checkSignal(signal)
  return { timeoutMs, signal }
}

/** Whether it is sure that no handler has it, and another leader may take it. */
function isUnreached({ code, outcome }: ColmenaError): boolean {
  return code === 'ERR_NO_LEADER' && outcome === 'not-applied'
}

function ran<T>(decode: () => T): T {
  try {
    return readable(decode)
  } catch (error) {
    if (!isColmenaError(error) || error.code !== 'ERR_UNSUPPORTED_FORMAT') throw error
    throw new ColmenaError(error.code, error.message, { outcome: 'unknown', cause: error.cause })
  }
}
