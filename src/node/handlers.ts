import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { decodeJson, encodeJson } from '../base/json-values.ts'
import type { EngineToUser, ErrorMessage } from '../engine/engine.ts'
import { invalid } from './arguments.ts'
import {
  decodeCall,
  encodeAnswer,
  type ForwardAnswer,
  type ForwardCall,
  PAYLOAD_BYTES_MAX,
  readable,
} from './forward-wire.ts'
import { checkHandler, type Handler, type HandlerWork, handlerTitle } from './handler.ts'
import { encodeError } from './handler-errors.ts'

/** A call that came to this node because it leads. */
export type HandleMessage = Extract<EngineToUser, { readonly kind: 'handle' }>

/** Gives a call's answer to the engine, or why nothing was run. */
export type HandleAnswer = (
  id: number,
  bytes: Uint8Array<ArrayBuffer> | null,
  error: ErrorMessage | null,
) => void

/** Calls that have not returned, those whose time is up among them; beyond, more are refused. */
const RUNNING_MAX = 1_024

type AnyWork = HandlerWork<never, unknown>

/** One call that runs. */
interface Running {
  readonly message: HandleMessage
  readonly call: ForwardCall
  readonly abort: AbortController
  /** Whether its handler was called: before that it has done nothing. */
  hasBegun: boolean
  /** Whether its time is up, and its caller gone. */
  isLate: boolean
}

export interface HandlersOptions {
  readonly answer: HandleAnswer
  /**
   * Resolves once a majority has confirmed this node as the leader, and it has applied what was
   * committed by then.
   *
   * @throws ColmenaError ERR_NO_LEADER where it leads no more
   */
  readonly confirm: (signal: AbortSignal) => Promise<void>
}

/**
 * The leader's side of forwarding: what this node handles, and what of it runs. A call is answered
 * once: by its handler, at its time, or with the reason why none was run.
 */
export class Handlers {
  readonly #options: HandlersOptions
  readonly #works = new Map<string, AnyWork>()
  readonly #running = new Set<Running>()

  constructor(options: HandlersOptions) {
    this.#options = options
  }

  /** Returns what takes it away again. @throws ColmenaError ERR_INVALID_ARGUMENT */
  add(handler: Handler<never, unknown>, work: AnyWork): () => void {
    checkHandler(handler)
    if (typeof work !== 'function') {
      throw invalid(`handle(${handlerTitle(handler)}, …) takes a function as its second argument`)
    }
    const name = nameOf(handler)
    if (this.#works.has(name)) {
      throw invalid(`this node handles ${handlerTitle(handler)} already; a key has one handler`)
    }
    this.#works.set(name, work)
    return () => {
      if (this.#works.get(name) === work) this.#works.delete(name)
    }
  }

  /** Runs what somebody asked of the leader, which this node was a moment ago. */
  run(message: HandleMessage): void {
    try {
      const call = decodeCall(message.bytes)
      const work = this.#works.get(nameOf(call))
      if (work === undefined) throw this.#unknown(call, message.leader)
      if (this.#running.size >= RUNNING_MAX) throw this.#busy()
      const request = readable(() => decodeJson(call.payload))
      const state = { abort: new AbortController(), hasBegun: false, isLate: false }
      void this.#run({ message, call, ...state }, work, request)
    } catch (error) {
      if (!isColmenaError(error)) throw error
      this.#refuse(message.id, error)
    }
  }

  /** Nobody waits any more. */
  close(reason: ColmenaError): void {
    for (const { abort } of this.#running) abort.abort(reason)
  }

  async #run(running: Running, work: AnyWork, request: unknown): Promise<void> {
    const { message, call } = running
    const timer = setTimeout(() => this.#late(running), call.timeoutMs)
    timer.unref()
    this.#running.add(running)
    const answer = await this.#answerOf(running, work, request)
    clearTimeout(timer)
    this.#running.delete(running)
    if (isColmenaError(answer)) this.#refuse(message.id, answer)
    else this.#options.answer(message.id, encodeAnswer(answer), null)
  }

  /** Why it was not begun, or what it came to. */
  async #answerOf(
    running: Running,
    work: AnyWork,
    request: unknown,
  ): Promise<ForwardAnswer | ColmenaError> {
    const { message, call, abort } = running
    try {
      await this.#options.confirm(abort.signal)
      abort.signal.throwIfAborted()
    } catch (error) {
      if (isColmenaError(error)) return error
      throw error
    }
    running.hasBegun = true
    const context = { nodeId: message.from, signal: abort.signal }
    try {
      const value: unknown = await work(request as never, context)
      const bounds = { what: `the answer of ${handlerTitle(call)}`, bytesMax: PAYLOAD_BYTES_MAX }
      return { isFailure: false, payload: encodeJson(value, bounds) }
    } catch (error) {
      return { isFailure: true, payload: encodeError(error) }
    }
  }

  /** It runs on, since nothing can stop it: but nobody waits for it. */
  #late(running: Running): void {
    const { message, call, abort, hasBegun } = running
    running.isLate = true
    const said = hasBegun
      ? `it did not return within ${call.timeoutMs} ms, and may still be running`
      : `no majority confirmed the leader within ${call.timeoutMs} ms, so it was not run`
    const details = { retryable: true, outcome: hasBegun ? 'unknown' : 'not-applied' } as const
    const error = new ColmenaError('ERR_TIMEOUT', said, details)
    this.#refuse(message.id, error)
    abort.abort(error)
  }

  #refuse(id: number, { code, message, retryable, outcome }: ColmenaError): void {
    this.#options.answer(id, null, { code, message, retryable, outcome })
  }

  #unknown(call: ForwardCall, nodeId: string): ColmenaError {
    const known = [...this.#works.keys()].map(titleOf)
    const others = known.filter((title) => title.startsWith(`'${call.key}'`))
    const has =
      others.length > 0
        ? `it has ${others.join(', ')}: the two run different versions of your program`
        : `it has ${known.join(', ') || 'none'}. Does it run another version of your program, or ` +
          'has that not called node.handle yet?'
    const title = others.length > 0 ? `'${call.key}' (version ${call.version})` : handlerTitle(call)
    return new ColmenaError(
      'ERR_NO_HANDLER',
      `node '${nodeId}', which leads, has no handler ${title}; ${has}`,
      { retryable: true },
    )
  }

  #busy(): ColmenaError {
    const late = [...this.#running].filter(({ isLate }) => isLate).length
    return new ColmenaError(
      'ERR_BUSY',
      `${RUNNING_MAX} calls run on the leader already, ${late} of them past their time: try ` +
        'again later, and look for handlers that never return',
      { retryable: true },
    )
  }
}

function nameOf({ key, version }: Pick<ForwardCall, 'key' | 'version'>): string {
  return `${version} ${key}`
}

function titleOf(name: string): string {
  const at = name.indexOf(' ')
  return `'${name.slice(at + 1)}' (version ${name.slice(0, at)})`
}
