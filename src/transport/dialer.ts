import net, { type Socket } from 'node:net'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import { parseAddress } from './address.ts'
import { Channel, type ChannelEnd, type ChannelListener } from './channel.ts'
import { adoptSocket, type TransportContext } from './config.ts'
import { toErrorCode } from './error-wire.ts'
import { FrameError } from './frame.ts'
import { decodeHello, decodeRefusal, encodeHello, HANDSHAKE_BYTES_MAX } from './hello.ts'
import type { PeerHello, Purpose, Refusal } from './port.ts'
import { isSecretMismatch, type Security } from './security.ts'
import { WIRE_KIND } from './wire-kind.ts'

const REMEMBERED_ADDRESSES_MAX = 1024

export interface DialTarget {
  /** `host:port` */
  readonly address: string
  /** The member that must answer there; 0 for any. */
  readonly expects: number
  readonly purpose: Purpose
}

/** With a channel: `channel.admit` must be called before this returns. */
export type Dialed = (
  error: ColmenaError | null,
  channel: Channel | null,
  hello: PeerHello | null,
) => void

/** Dials, secures and introduces. One call is one try, with every secret that may fit. */
export class Dialer {
  readonly #context: TransportContext
  readonly #security: Security
  readonly #check: (hello: PeerHello, expects: number) => Refusal | null
  /** Which secret an address took last: in a rotation not all nodes have the newest. */
  readonly #keyIndexes = new Map<string, number>()

  constructor(
    context: TransportContext,
    security: Security,
    check: (hello: PeerHello, expects: number) => Refusal | null,
  ) {
    this.#context = context
    this.#security = security
    this.#check = check
  }

  /** `done` is called once, never within this call, and not at all after cancelling. */
  dial(target: DialTarget, done: Dialed): Cancel {
    let cancelAttempt: Cancel = () => {}
    let isOver = false
    let triesLeft = this.#security.keyCount
    let keyIndex = this.#keyIndexes.get(target.address) ?? 0
    const attempt = (): void => {
      triesLeft -= 1
      cancelAttempt = this.#attempt(target, keyIndex, (error, channel, hello) => {
        if (isOver) return
        if (error !== null && isMismatch(error) && triesLeft > 0) {
          keyIndex = (keyIndex + 1) % this.#security.keyCount
          attempt()
          return
        }
        isOver = true
        if (error === null) this.#remember(target.address, keyIndex)
        done(error, channel, hello)
      })
    }
    attempt()
    return () => {
      if (isOver) return
      isOver = true
      cancelAttempt()
    }
  }

  #remember(address: string, keyIndex: number): void {
    if (keyIndex === 0) this.#keyIndexes.delete(address)
    else if (this.#keyIndexes.size < REMEMBERED_ADDRESSES_MAX) {
      this.#keyIndexes.set(address, keyIndex)
    }
  }

  #attempt(target: DialTarget, keyIndex: number, done: Dialed): Cancel {
    let raw: Socket
    try {
      raw = net.connect({ ...parseAddress(target.address), autoSelectFamily: true })
    } catch (error) {
      process.nextTick(done, toColmenaError(target, error as Error), null, null)
      return () => {}
    }
    adoptSocket(this.#context, raw)
    let isSettled = false
    const settle: Dialed = (error, channel, hello) => {
      if (isSettled) return
      isSettled = true
      cancelTimeout()
      if (error !== null) raw.destroy()
      done(error, channel, hello)
    }
    const { clock, handshakeTimeoutMs } = this.#context.config
    const cancelTimeout = clock.setTimer(handshakeTimeoutMs, () => {
      const message = `${target.address} did not finish the handshake in ${handshakeTimeoutMs} ms`
      settle(new ColmenaError('ERR_TIMEOUT', message, { retryable: true }), null, null)
    })
    raw.on('error', (error) => settle(toColmenaError(target, error), null, null))
    if (this.#security.isPlaintext) {
      raw.once('connect', () => this.#introduce(raw, target, settle))
    } else {
      const secure = this.#security.wrap(raw, keyIndex)
      secure.on('error', (error) => settle(toColmenaError(target, error), null, null))
      secure.once('secureConnect', () => this.#introduce(secure, target, settle))
    }
    return () => {
      isSettled = true
      cancelTimeout()
      raw.destroy()
    }
  }

  #introduce(socket: Socket, target: DialTarget, settle: Dialed): void {
    const limits = { frameBytesMax: HANDSHAKE_BYTES_MAX, queueBytesMax: 4 * HANDSHAKE_BYTES_MAX }
    const listener: ChannelListener = {
      frame: (kind, body) => {
        const answer = this.#readAnswer(socket, target, kind, body)
        if (answer instanceof ColmenaError) {
          channel.destroy()
          this.#context.traffic.refused(answer.code)
          settle(answer, null, null)
        } else {
          settle(null, channel, answer)
        }
      },
      closed: (end, fault) => settle(describeEnd(target, end, fault), null, null),
    }
    const channel = new Channel(socket, limits, listener, this.#context.traffic)
    const { address: _address, ...rest } = target
    const identity = this.#context.config.identity()
    channel.send(WIRE_KIND.hello, [encodeHello({ ...rest, identity })])
  }

  #readAnswer(
    socket: Socket,
    target: DialTarget,
    kind: number,
    body: Uint8Array,
  ): PeerHello | ColmenaError {
    const where = target.address
    try {
      if (kind === WIRE_KIND.refusal) return toRefusalError(where, decodeRefusal(body))
      if (kind !== WIRE_KIND.welcome) throw new DecodeError('not a Colmena handshake')
      const decoded = decodeHello(body)
      if ('code' in decoded) return toRefusalError(where, decoded)
      const hello: PeerHello = {
        ...decoded.identity,
        purpose: target.purpose,
        isIncoming: false,
        remoteAddress: socket.remoteAddress ?? where,
      }
      const refusal = this.#check(hello, target.expects)
      return refusal === null ? hello : toRefusalError(where, refusal)
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause
      return new ColmenaError('ERR_HANDSHAKE', `${where}: ${cause.message}`, { cause })
    }
  }
}

function toRefusalError(where: string, refusal: Refusal): ColmenaError {
  const code = toErrorCode(refusal.code)
  // Both end by themselves: the other process dies, or the closing one is started again.
  const retryable = code === 'ERR_ALREADY_OPEN' || code === 'ERR_CLOSED'
  return new ColmenaError(code, `${where} refused: ${refusal.message}`, { retryable })
}

function isMismatch(error: ColmenaError): boolean {
  return error.cause instanceof Error && isSecretMismatch(error.cause)
}

function toColmenaError(target: DialTarget, cause: NodeJS.ErrnoException): ColmenaError {
  if (cause instanceof ColmenaError) return cause
  const where = target.address
  if (isSecretMismatch(cause)) {
    return new ColmenaError('ERR_HANDSHAKE', `${where} has another secret than this node`, {
      cause,
    })
  }
  // Node.js reports a TLS server that hangs up early with this code and a message of its own.
  const isEarlyEnd = cause.code === 'ECONNRESET' && cause.message.includes('before secure TLS')
  if (isEarlyEnd || cause.code?.startsWith('ERR_SSL') === true) {
    const message = `${where} ended the TLS handshake; perhaps it runs without a secret`
    return new ColmenaError('ERR_HANDSHAKE', message, { cause, retryable: true })
  }
  const message = `cannot reach ${where}: ${cause.message}`
  return new ColmenaError('ERR_FAILED', message, { cause, retryable: true })
}

function describeEnd(target: DialTarget, end: ChannelEnd, fault: Error | null): ColmenaError {
  const where = target.address
  if (fault instanceof FrameError) {
    return new ColmenaError('ERR_HANDSHAKE', `${where}: ${fault.message}`, { cause: fault })
  }
  const message =
    end === 'peer'
      ? `${where} hung up during the handshake; perhaps it has a secret and this node none`
      : `the connection to ${where} was lost during the handshake`
  return new ColmenaError('ERR_HANDSHAKE', message, { retryable: true })
}
