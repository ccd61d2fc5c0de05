import net, { type Socket } from 'node:net'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import { parseAddress } from './address.ts'
import { Channel, type ChannelListener } from './channel.ts'
import { adoptSocket, type TransportContext } from './config.ts'
import type { Frame } from './frame.ts'
import {
  isSecretMismatch,
  toDialError,
  toEndError,
  toOwnRefusal,
  toRefusalError,
} from './handshake-failures.ts'
import { decodeHello, decodeRefusal, encodeHello, HANDSHAKE_BYTES_MAX } from './hello.ts'
import type { Credential } from './peer-certificate.ts'
import type { PeerHello, Purpose, Refusal } from './port.ts'
import type { Security } from './security.ts'
import { WIRE_KIND } from './wire-kind.ts'

const REMEMBERED_ADDRESSES_MAX = 1024

export interface DialTarget {
  /** `host:port` */
  readonly address: string
  /** The member that must answer there; 0 for any. */
  readonly expects: number
  readonly purpose: Purpose
}

/** What one try is made with: a rotation may come while it is under way. */
interface Keys {
  readonly security: Security
  readonly keyIndex: number
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
  readonly #check: (hello: PeerHello, expects: number) => Refusal | null
  /** Which secret an address took last: in a rotation not all nodes have the newest. */
  readonly #keyIndexes = new Map<string, number>()
  #security: Security

  constructor(
    context: TransportContext,
    security: Security,
    check: (hello: PeerHello, expects: number) => Refusal | null,
  ) {
    this.#context = context
    this.#security = security
    this.#check = check
  }

  /** From now on; what is being dialed under what was before begins again. */
  secure(security: Security): void {
    this.#security = security
    this.#keyIndexes.clear()
  }

  /** `done` is called once, never within this call, and not at all after cancelling. */
  dial(target: DialTarget, done: Dialed): Cancel {
    let cancelAttempt: Cancel = () => {}
    let isOver = false
    const begin = (): void => {
      const security = this.#security
      attempt({ security, keyIndex: this.#keyIndexes.get(target.address) ?? 0 }, security.keyCount)
    }
    const attempt = (keys: Keys, triesLeft: number): void => {
      const { security, keyIndex } = keys
      cancelAttempt = this.#attempt(target, keys, (error, channel, hello) => {
        if (isOver) return
        if (security !== this.#security) {
          channel?.destroy()
          begin()
        } else if (error !== null && isMismatch(error) && triesLeft > 1) {
          attempt({ security, keyIndex: (keyIndex + 1) % security.keyCount }, triesLeft - 1)
        } else {
          isOver = true
          if (error === null) this.#remember(target.address, keyIndex)
          done(error, channel, hello)
        }
      })
    }
    begin()
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

  #attempt(target: DialTarget, { security, keyIndex }: Keys, done: Dialed): Cancel {
    const toError = (error: Error): ColmenaError =>
      toDialError(target.address, error, security.kind)
    let raw: Socket
    try {
      raw = net.connect({ ...parseAddress(target.address), autoSelectFamily: true })
    } catch (error) {
      process.nextTick(done, toError(error as Error), null, null)
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
    raw.on('error', (error) => settle(toError(error), null, null))
    if (security.kind === 'plaintext') {
      raw.once('connect', () => this.#introduce(raw, target, security, settle))
    } else {
      const secure = security.wrap(raw, keyIndex)
      secure.on('error', (error) => settle(toError(error), null, null))
      secure.once('secureConnect', () => this.#introduce(secure, target, security, settle))
    }
    return () => {
      isSettled = true
      cancelTimeout()
      raw.destroy()
    }
  }

  #introduce(socket: Socket, target: DialTarget, security: Security, settle: Dialed): void {
    const credential = security.readCredential(socket)
    const stranger = credential.check(null)
    if (stranger !== null) {
      this.#context.traffic.refused(stranger.code)
      settle(toOwnRefusal(target.address, stranger), null, null)
      return
    }
    const limits = { frameBytesMax: HANDSHAKE_BYTES_MAX, queueBytesMax: 4 * HANDSHAKE_BYTES_MAX }
    const listener: ChannelListener = {
      frame: (kind, body) => {
        const answer = this.#readAnswer(socket, target, credential, { kind, body })
        if (answer instanceof ColmenaError) {
          channel.destroy()
          this.#context.traffic.refused(answer.code)
          settle(answer, null, null)
        } else {
          settle(null, channel, answer)
        }
      },
      closed: (end, fault) => settle(toEndError(target.address, end, fault), null, null),
    }
    const channel = new Channel(socket, limits, listener, this.#context.traffic)
    const { address: _address, ...rest } = target
    const identity = this.#context.config.identity()
    channel.send(WIRE_KIND.hello, [encodeHello({ ...rest, identity })])
  }

  #readAnswer(
    socket: Socket,
    target: DialTarget,
    credential: Credential,
    { kind, body }: Frame,
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
      const stranger = credential.check(hello.nodeId)
      if (stranger !== null) return toOwnRefusal(where, stranger)
      const refusal = this.#check(hello, target.expects)
      return refusal === null ? hello : toRefusalError(where, refusal)
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause
      return new ColmenaError('ERR_HANDSHAKE', `${where}: ${cause.message}`, { cause })
    }
  }
}

function isMismatch(error: ColmenaError): boolean {
  return error.cause instanceof Error && isSecretMismatch(error.cause)
}
