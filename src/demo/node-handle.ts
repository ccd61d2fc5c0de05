import { ColmenaError, type ErrorCode } from '../index.ts'
import type {
  FromNode,
  NodeCalls,
  NodeFailure,
  NodeReport,
  ToNode,
  WriteFate,
  WriteOrder,
} from './node-messages.ts'

/** What a node tells, as it happens. */
export interface NodeListener {
  fates(fates: readonly WriteFate[]): void
  report(report: NodeReport): void
  leader(leaderId: string | null, term: number): void
  applied(index: number): void
  exited(): void
}

/** Carries messages between the supervisor and the process of a node, in their order. */
export interface Wire {
  /** Of a process that this one has started; null of any other. */
  readonly pid: number | null
  send(message: ToNode): void
  /** Ends the process as a power cut would: no handler runs. */
  kill(): void
  /** Wants to hear nothing more. A process that this one has started ends. */
  close(): void
}

export interface WireListener {
  received(message: FromNode): void
  /** Nothing more comes: the process has ended, or can't be heard. */
  ended(): void
}

/** Neither is called before this has returned. */
export type OpenWire = (listener: WireListener) => Wire

/** One life of a node, as far as the supervisor hears of it. */
export class NodeHandle {
  readonly #wire: Wire
  readonly #listener: NodeListener
  readonly #calls = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #opened = Promise.withResolvers<void>()
  readonly #ended = Promise.withResolvers<void>()
  #lastId = 0
  #isGone = false

  constructor(openWire: OpenWire, listener: NodeListener) {
    this.#listener = listener
    // Who waits for it hears of it; nobody has to.
    this.#opened.promise.catch(() => {})
    this.#wire = openWire({
      received: (message) => this.#receive(message),
      ended: () => this.#gone(),
    })
  }

  /** Resolves once the node is open. @throws ColmenaError what `open` threw, or ERR_CLOSED */
  get opened(): Promise<void> {
    return this.#opened.promise
  }

  get pid(): number | null {
    return this.#wire.pid
  }

  get isGone(): boolean {
    return this.#isGone
  }

  /** @throws ColmenaError what the node answered, or ERR_CLOSED if its process ended first. */
  call<Name extends keyof NodeCalls>(
    method: Name,
    ...args: Parameters<NodeCalls[Name]>
  ): Promise<ReturnType<NodeCalls[Name]>> {
    if (this.#isGone) return Promise.reject(goneError(method))
    this.#lastId += 1
    const id = this.#lastId
    const call = Promise.withResolvers<unknown>()
    this.#calls.set(id, call)
    this.#wire.send({ kind: 'call', id, method, args })
    return call.promise.finally(() => this.#calls.delete(id)) as Promise<
      ReturnType<NodeCalls[Name]>
    >
  }

  write(writes: readonly WriteOrder[]): void {
    if (!this.#isGone) this.#wire.send({ kind: 'write', writes })
  }

  /** As a power cut is for the process. Resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#isGone) this.#wire.kill()
    await this.#ended.promise
  }

  /** Resolves when nothing more is heard of it. */
  async close(): Promise<void> {
    this.#wire.close()
    await this.#ended.promise
  }

  #receive(message: FromNode): void {
    switch (message.kind) {
      case 'opened':
        this.#opened.resolve()
        break
      case 'not-opened':
        this.#opened.reject(toError(message.error))
        break
      case 'answer':
        this.#calls.get(message.id)?.resolve(message.value)
        break
      case 'failure':
        this.#calls.get(message.id)?.reject(toError(message.error))
        break
      case 'fates':
        this.#listener.fates(message.fates)
        break
      case 'report':
        this.#listener.report(message.report)
        break
      case 'leader':
        this.#listener.leader(message.leaderId, message.term)
        break
      case 'applied':
        this.#listener.applied(message.index)
        break
    }
  }

  #gone(): void {
    this.#isGone = true
    this.#ended.resolve()
    this.#opened.reject(goneError('its start'))
    for (const { reject } of this.#calls.values()) reject(goneError('a call'))
    this.#calls.clear()
    this.#listener.exited()
  }
}

function toError({ code, message, retryable }: NodeFailure): ColmenaError {
  return new ColmenaError(code as ErrorCode, message, { retryable })
}

function goneError(what: string): ColmenaError {
  return new ColmenaError('ERR_CLOSED', `${what} was not answered: the node's process has ended`)
}
