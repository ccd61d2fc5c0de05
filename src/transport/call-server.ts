import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { LEAVING_MS_MAX } from './call-pool.ts'
import { CALL_HEADER_BYTES, decodeRequest, encodeResponse, type Request } from './call-wire.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import { FrameError } from './frame.ts'
import type { PeerHello } from './port.ts'
import { WIRE_KIND } from './wire-kind.ts'

/** Requests of one socket that wait for their reply; past it they are refused with `ERR_BUSY`. */
const UNANSWERED_MAX = 1024
/** Longer than a caller keeps an idle socket, so that it is the caller who closes. */
const IDLE_MS_MAX = 60_000

interface Caller {
  readonly hello: PeerHello
  unanswered: number
  usedMs: number
  /** When its socket is closed, whatever it waits for; null while it may stay. */
  leavesByMs: number | null
}

/** The answering end of calls. */
export class CallServer {
  readonly #context: TransportContext
  readonly #callers = new Map<Channel, Caller>()

  constructor(context: TransportContext) {
    this.#context = context
  }

  admit(channel: Channel, hello: PeerHello): void {
    const { config, warnings } = this.#context
    const caller: Caller = { hello, unanswered: 0, usedMs: config.clock.nowMs(), leavesByMs: null }
    this.#callers.set(channel, caller)
    channel.admit(
      {
        frameBytesMax: config.frameBytesMax + CALL_HEADER_BYTES,
        queueBytesMax: config.sendQueueBytesMax + CALL_HEADER_BYTES,
      },
      {
        frame: (kind, body) => this.#receive(channel, caller, kind, body),
        closed: (_end, fault) => {
          this.#callers.delete(channel)
          if (fault === null) return
          const host = hello.remoteAddress
          const message = `closed a call socket of ${host}: ${fault.message}`
          warnings.warn('ERR_FAILED', host, message, fault)
        },
      },
    )
  }

  /** Closes sockets that nobody has used for long, or that should be gone. */
  sweep(): void {
    const nowMs = this.#context.config.clock.nowMs()
    for (const [channel, { unanswered, usedMs, leavesByMs }] of this.#callers) {
      const isIdle = unanswered === 0 && nowMs - usedMs > IDLE_MS_MAX
      if (isIdle || (leavesByMs !== null && nowMs >= leavesByMs)) channel.destroy()
    }
  }

  /**
   * Tells all callers to leave: they send no more on these sockets, and close them after their last
   * answer. Closing them here could lose a call that is on its way.
   */
  renew(): void {
    const leavesByMs = this.#context.config.clock.nowMs() + LEAVING_MS_MAX
    for (const [channel, caller] of this.#callers) {
      caller.leavesByMs ??= leavesByMs
      channel.send(WIRE_KIND.goodbye, [])
    }
  }

  /** Sends the answers that were given; no call is handed up any more. */
  close(): void {
    for (const channel of this.#callers.keys()) channel.finish()
  }

  #receive(channel: Channel, caller: Caller, frameKind: number, frameBody: Uint8Array): void {
    caller.usedMs = this.#context.config.clock.nowMs()
    const request = frameKind === WIRE_KIND.call ? tryDecode(frameBody) : null
    if (request === null) {
      channel.fail(new FrameError(`a frame of kind ${frameKind} that is no call`))
      return
    }
    if (caller.unanswered >= UNANSWERED_MAX) {
      const message = `more than ${UNANSWERED_MAX} calls wait for an answer`
      const error = new ColmenaError('ERR_BUSY', message, { retryable: true })
      this.#reply(channel, request.id, error, new Uint8Array(0))
      return
    }
    caller.unanswered += 1
    let isAnswered = false
    this.#context.handlers.call(caller.hello, request.kind, request.body, (error, body) => {
      if (isAnswered) return
      isAnswered = true
      caller.unanswered -= 1
      this.#reply(channel, request.id, error, body ?? new Uint8Array(0))
    })
  }

  #reply(channel: Channel, id: number, error: ColmenaError | null, body: Uint8Array): void {
    const { frameBytesMax } = this.#context.config
    let failure = error
    if (body.length > frameBytesMax) {
      const message = `the answer has ${body.length} bytes, at most ${frameBytesMax} are allowed`
      failure = new ColmenaError('ERR_TOO_LARGE', message, { outcome: 'unknown' })
    }
    const parts = encodeResponse({ id, error: failure, body })
    if (channel.send(WIRE_KIND.reply, parts) || !channel.isOpen) return
    channel.fail(new FrameError('the caller does not read its answers'))
  }
}

function tryDecode(body: Uint8Array): Request | null {
  try {
    return decodeRequest(body)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
