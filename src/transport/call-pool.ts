import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import { CALL_HEADER_BYTES, decodeResponse, encodeRequest, type Response } from './call-wire.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import type { Dialer } from './dialer.ts'
import { FrameError } from './frame.ts'
import type { Reply } from './port.ts'
import { WIRE_KIND } from './wire-kind.ts'

/** Calls of one socket without an answer; past it they fail with `ERR_BUSY`. */
const PENDING_MAX = 4096
const IDLE_MS_MAX = 15_000
/** What calls under way get for their answers when all connections are made anew. */
export const LEAVING_MS_MAX = 10_000

interface PendingCall {
  readonly kind: number
  readonly body: Uint8Array
  readonly done: Reply
  readonly cancelTimeout: Cancel
  sentMs: number | null
}

interface CallSocketEvents {
  /** It takes no further calls. */
  retired(): void
  ended(): void
}

/** One socket for calls to one address, with any number of calls on it at once. */
class CallSocket {
  readonly #context: TransportContext
  readonly #address: string
  readonly #events: CallSocketEvents
  readonly #pending = new Map<number, PendingCall>()
  readonly #cancelDial: Cancel
  #channel: Channel | null = null
  #nextId = 1
  #heardMs = 0
  #isOver = false
  #usedMs: number
  /** Takes no further calls, and closes after the last answer. */
  #isRetired = false
  /** When it is closed, whatever waits on it; null while it may stay. */
  leavesByMs: number | null = null

  constructor(
    context: TransportContext,
    dialer: Dialer,
    target: { readonly address: string; readonly expects: number },
    events: CallSocketEvents,
  ) {
    this.#context = context
    this.#address = target.address
    this.#events = events
    this.#usedMs = context.config.clock.nowMs()
    this.#cancelDial = dialer.dial({ ...target, purpose: 'call' }, (error, channel) => {
      if (channel === null) this.#end(error as ColmenaError)
      else this.#connected(channel)
    })
  }

  get isIdle(): boolean {
    const idleMs = this.#context.config.clock.nowMs() - this.#usedMs
    return this.#pending.size === 0 && idleMs > IDLE_MS_MAX
  }

  call(kind: number, body: Uint8Array, timeoutMs: number, done: Reply): void {
    if (this.#pending.size >= PENDING_MAX) {
      process.nextTick(done, this.#busy(`${PENDING_MAX} calls wait for an answer`))
      return
    }
    const id = this.#nextId
    this.#nextId = (this.#nextId % 0xffff_ffff) + 1
    this.#usedMs = this.#context.config.clock.nowMs()
    const cancelTimeout = this.#context.config.clock.setTimer(timeoutMs, () =>
      this.#timedOut(id, timeoutMs),
    )
    this.#pending.set(id, { kind, body, done, cancelTimeout, sentMs: null })
    if (this.#channel !== null) this.#send(id)
  }

  retire(): void {
    this.#isRetired = true
    if (this.#pending.size === 0) this.close(closedError())
  }

  close(error: ColmenaError): void {
    this.#cancelDial()
    this.#channel?.destroy()
    this.#end(error)
  }

  #connected(channel: Channel): void {
    const { frameBytesMax, sendQueueBytesMax } = this.#context.config
    this.#channel = channel
    channel.admit(
      {
        frameBytesMax: frameBytesMax + CALL_HEADER_BYTES,
        queueBytesMax: sendQueueBytesMax + CALL_HEADER_BYTES,
      },
      {
        frame: (kind, body) => this.#receive(channel, kind, body),
        closed: (_end, fault) => {
          const cause = fault ?? undefined
          const message = `the connection to ${this.#address} was lost`
          this.#end(
            new ColmenaError('ERR_FAILED', message, { cause, retryable: true, outcome: 'unknown' }),
          )
        },
      },
    )
    for (const id of [...this.#pending.keys()]) this.#send(id)
  }

  #send(id: number): void {
    const call = this.#pending.get(id) as PendingCall
    const parts = encodeRequest({ id, kind: call.kind, body: call.body })
    if ((this.#channel as Channel).send(WIRE_KIND.call, parts)) {
      call.sentMs = this.#context.config.clock.nowMs()
      return
    }
    process.nextTick(() => this.#settle(id, this.#busy('its send queue is full')))
  }

  #busy(reason: string): ColmenaError {
    return new ColmenaError('ERR_BUSY', `no call to ${this.#address}: ${reason}`, {
      retryable: true,
    })
  }

  #receive(channel: Channel, kind: number, body: Uint8Array): void {
    this.#heardMs = this.#context.config.clock.nowMs()
    if (kind === WIRE_KIND.goodbye) {
      this.#events.retired()
      this.retire()
      return
    }
    let response: Response
    try {
      if (kind !== WIRE_KIND.reply) throw new DecodeError(`a frame of kind ${kind} is no reply`)
      response = decodeResponse(body)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      channel.fail(new FrameError(error.message))
      return
    }
    // An answer that comes after its deadline finds nobody, and that is fine.
    this.#settle(response.id, response.error, response.body)
  }

  #timedOut(id: number, timeoutMs: number): void {
    const { sentMs } = this.#pending.get(id) as PendingCall
    const outcome = sentMs === null ? 'not-applied' : 'unknown'
    const message = `${this.#address} gave no answer within ${timeoutMs} ms`
    const error = new ColmenaError('ERR_TIMEOUT', message, { retryable: true, outcome })
    // Not a byte since the request left: the socket may be dead without knowing it, and the
    // next call should not inherit it.
    if (sentMs !== null && this.#heardMs < sentMs) {
      this.#isRetired = true
      this.#events.retired()
    }
    this.#settle(id, error)
  }

  #settle(id: number, error: ColmenaError | null, body?: Uint8Array): void {
    const call = this.#pending.get(id)
    if (call === undefined) return
    this.#pending.delete(id)
    call.cancelTimeout()
    if (error === null) call.done(null, body)
    else call.done(error)
    if (this.#isRetired && this.#pending.size === 0) this.close(closedError())
  }

  /** Every call that is left fails; those that never left did nothing. */
  #end(error: ColmenaError): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#events.retired()
    this.#events.ended()
    const unsent = new ColmenaError(error.code, error.message, {
      cause: error.cause,
      retryable: error.retryable,
    })
    for (const [id, call] of [...this.#pending]) {
      this.#settle(id, call.sentMs === null ? unsent : error)
    }
  }
}

function closedError(): ColmenaError {
  return new ColmenaError('ERR_CLOSED', 'the transport is closed', { outcome: 'unknown' })
}

function rotatedError(): ColmenaError {
  const message = `no answer in ${LEAVING_MS_MAX} ms after the secret or certificate was changed`
  return new ColmenaError('ERR_FAILED', message, { retryable: true, outcome: 'unknown' })
}

/** The calling end: one socket per address and expected member, closed when idle. */
export class CallPool {
  readonly #context: TransportContext
  readonly #dialer: Dialer
  readonly #sockets = new Map<string, CallSocket>()
  /** Those that wait for their last answer as well. */
  readonly #open = new Set<CallSocket>()
  #isClosed = false

  constructor(context: TransportContext, dialer: Dialer) {
    this.#context = context
    this.#dialer = dialer
  }

  call(
    target: { readonly address: string; readonly expects: number },
    kind: number,
    body: Uint8Array,
    timeoutMs: number,
    done: Reply,
  ): void {
    const { frameBytesMax } = this.#context.config
    if (this.#isClosed) {
      process.nextTick(done, new ColmenaError('ERR_CLOSED', 'the transport is closed'))
      return
    }
    if (body.length > frameBytesMax) {
      const message = `a request of ${body.length} bytes is beyond ${frameBytesMax}`
      process.nextTick(done, new ColmenaError('ERR_TOO_LARGE', message))
      return
    }
    this.#socketFor(target).call(kind, body, timeoutMs, done)
  }

  sweep(): void {
    for (const socket of [...this.#sockets.values()]) if (socket.isIdle) socket.retire()
    const nowMs = this.#context.config.clock.nowMs()
    for (const socket of [...this.#open]) {
      if (socket.leavesByMs !== null && nowMs >= socket.leavesByMs) socket.close(rotatedError())
    }
  }

  /** Calls that come from now on have a socket of their own; those under way keep theirs. */
  renew(): void {
    const leavesByMs = this.#context.config.clock.nowMs() + LEAVING_MS_MAX
    this.#sockets.clear()
    for (const socket of [...this.#open]) {
      socket.leavesByMs ??= leavesByMs
      socket.retire()
    }
  }

  close(): void {
    this.#isClosed = true
    for (const socket of [...this.#open]) socket.close(closedError())
  }

  #socketFor(target: { readonly address: string; readonly expects: number }): CallSocket {
    // A node that became a member must not go on calling as the stranger it was.
    const { memberId, clusterId } = this.#context.config.identity()
    const own = `${memberId} ${Buffer.from(clusterId).toString('hex')}`
    const place = `${target.expects} ${target.address}`
    const key = `${place} as ${own}`
    const known = this.#sockets.get(key)
    if (known !== undefined) return known
    for (const [other, socket] of [...this.#sockets]) {
      if (other.startsWith(`${place} as `)) {
        this.#sockets.delete(other)
        socket.retire()
      }
    }
    const socket = new CallSocket(this.#context, this.#dialer, target, {
      retired: () => {
        if (this.#sockets.get(key) === socket) this.#sockets.delete(key)
      },
      ended: () => this.#open.delete(socket),
    })
    this.#sockets.set(key, socket)
    this.#open.add(socket)
    return socket
  }
}
