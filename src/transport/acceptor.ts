import net, { type Socket } from 'node:net'
import type tls from 'node:tls'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import { formatAddress } from './address.ts'
import { Channel, type ChannelListener } from './channel.ts'
import { adoptSocket, type TransportContext } from './config.ts'
import { type Frame, FrameError } from './frame.ts'
import { describeStranger } from './handshake-failures.ts'
import { decodeHello, encodeHello, encodeRefusal, HANDSHAKE_BYTES_MAX } from './hello.ts'
import type { Credential } from './peer-certificate.ts'
import type { PeerHello, Refusal } from './port.ts'
import type { Security } from './security.ts'
import { WIRE_KIND } from './wire-kind.ts'

/** Far more than a large cluster needs; the rest is refused by the kernel's side of Node.js. */
const SOCKETS_MAX = 4096

/** An accepted socket that has not said a valid hello yet. */
interface Stranger {
  readonly raw: Socket
  readonly host: string
  readonly cancelTimeout: Cancel
}

export interface AcceptorOwner {
  /** Null takes the peer in. */
  check(hello: PeerHello, expects: number): Refusal | null
  /**
   * The handshake is over: the owner calls `channel.admit` before it returns, or pauses the channel
   * until it does. Nobody of ours sends anything before the welcome.
   */
  admit(channel: Channel, hello: PeerHello): void
}

/**
 * The listening side. Until its hello is accepted a socket is a stranger: strangers are few, in
 * all and per address, they have a few seconds, and their bytes reach nothing but the handshake.
 * A new stranger beyond the limit pushes out the oldest one, of the address that has most of them:
 * honest peers are few and finish within milliseconds, so whoever holds sockets open, or comes
 * again and again, loses them first.
 */
export class Acceptor {
  readonly #context: TransportContext
  readonly #owner: AcceptorOwner
  readonly #server: net.Server
  /** By remote address and port; in order of age. */
  readonly #strangers = new Map<string, Stranger>()
  #security: Security
  #tlsServer: tls.Server | null

  constructor(context: TransportContext, security: Security, owner: AcceptorOwner) {
    this.#context = context
    this.#security = security
    this.#owner = owner
    this.#server = net.createServer((raw) => this.#accept(raw))
    this.#server.maxConnections = SOCKETS_MAX
    this.#tlsServer = this.#createTlsServer()
  }

  /** From now on; who has not finished a handshake by then has to begin again. */
  secure(security: Security): void {
    this.#security = security
    this.#tlsServer = this.#createTlsServer()
    this.#dropStrangers()
  }

  get port(): number {
    return (this.#server.address() as net.AddressInfo).port
  }

  listen(host: string, port: number, done: (error: ColmenaError | null) => void): void {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const where = formatAddress(host, port)
      const isTaken = cause.code === 'EADDRINUSE'
      const message = isTaken
        ? `${where} is in use: another process listens there`
        : `cannot listen on ${where}: ${cause.message}`
      done(new ColmenaError(isTaken ? 'ERR_ADDRESS_IN_USE' : 'ERR_FAILED', message, { cause }))
    }
    this.#server.once('error', failed)
    this.#server.listen({ host, port, backlog: 511 }, () => {
      this.#server.off('error', failed)
      this.#server.on('error', (cause) => {
        this.#context.warnings.warn('ERR_FAILED', 'listener', `accepting: ${cause.message}`, cause)
      })
      done(null)
    })
  }

  close(done: () => void): void {
    this.#server.close(() => done())
    this.#dropStrangers()
  }

  #dropStrangers(): void {
    for (const key of [...this.#strangers.keys()]) this.#drop(key)
  }

  #createTlsServer(): tls.Server | null {
    if (this.#security.kind === 'plaintext') return null
    const server = this.#security.createServer(this.#context.config.handshakeTimeoutMs)
    server.on('secureConnection', (socket) => this.#greet(socket, keyOf(socket)))
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
      const host = socket.remoteAddress
      if (host === undefined) return
      this.#warnTls(host, error)
    })
    return server
  }

  #warnTls(host: string, error: NodeJS.ErrnoException): void {
    const message = describeStranger(host, error, this.#security.kind)
    if (message !== null) this.#context.warnings.warn('ERR_HANDSHAKE', host, message, error)
  }

  #accept(raw: Socket): void {
    adoptSocket(this.#context, raw)
    raw.on('error', () => raw.destroy())
    const key = keyOf(raw)
    const host = raw.remoteAddress
    if (key === null || host === undefined) {
      raw.destroy()
      return
    }
    this.#makeRoom(host)
    const { clock, handshakeTimeoutMs } = this.#context.config
    const cancelTimeout = clock.setTimer(handshakeTimeoutMs, () => this.#drop(key))
    this.#strangers.set(key, { raw, host, cancelTimeout })
    raw.once('close', () => this.#release(key, raw))
    if (this.#tlsServer === null) this.#greet(raw, key)
    else this.#tlsServer.emit('connection', raw)
  }

  #makeRoom(host: string): void {
    const { unauthenticatedMax, unauthenticatedPerAddressMax } = this.#context.config
    const byHost = new Map<string, string[]>()
    for (const [key, stranger] of this.#strangers) {
      const keys = byHost.get(stranger.host)
      if (keys === undefined) byHost.set(stranger.host, [key])
      else keys.push(key)
    }
    const own = byHost.get(host) ?? []
    if (own.length >= unauthenticatedPerAddressMax) this.#drop(own[0] as string)
    else if (this.#strangers.size >= unauthenticatedMax) {
      const most = [...byHost.values()].reduce((a, b) => (b.length > a.length ? b : a))
      this.#drop(most[0] as string)
    }
  }

  #drop(key: string): void {
    const stranger = this.#strangers.get(key)
    if (stranger === undefined) return
    this.#release(key, stranger.raw)
    stranger.raw.destroy()
  }

  #release(key: string, raw: Socket): void {
    const stranger = this.#strangers.get(key)
    if (stranger?.raw !== raw) return
    stranger.cancelTimeout()
    this.#strangers.delete(key)
  }

  #greet(socket: Socket, key: string | null): void {
    const stranger = key === null ? undefined : this.#strangers.get(key)
    if (key === null || stranger === undefined) {
      socket.destroy()
      return
    }
    const credential = this.#security.readCredential(socket)
    const limits = { frameBytesMax: HANDSHAKE_BYTES_MAX, queueBytesMax: 4 * HANDSHAKE_BYTES_MAX }
    const listener: ChannelListener = {
      frame: (kind, body) => {
        const hello = this.#readHello(channel, stranger.host, credential, { kind, body })
        if (hello === null) return
        this.#release(key, stranger.raw)
        this.#owner.admit(channel, hello)
      },
      closed: (_end, fault) => {
        if (fault !== null) this.#warnGarbage(stranger.host, fault)
      },
    }
    const channel = new Channel(socket, limits, listener, this.#context.traffic)
    const refusal = credential.check(null)
    if (refusal !== null) this.#refuse(channel, stranger.host, refusal)
  }

  #readHello(
    channel: Channel,
    host: string,
    credential: Credential,
    { kind, body }: Frame,
  ): PeerHello | null {
    const decoded = kind === WIRE_KIND.hello ? tryDecode(body) : null
    if (decoded === null) {
      channel.fail(new FrameError('not a Colmena handshake'))
      return null
    }
    if ('code' in decoded) {
      this.#refuse(channel, host, decoded)
      return null
    }
    const { identity, purpose, expects } = decoded
    const hello: PeerHello = { ...identity, purpose, isIncoming: true, remoteAddress: host }
    const refusal = credential.check(hello.nodeId) ?? this.#owner.check(hello, expects)
    if (refusal !== null) {
      this.#refuse(channel, `${host} member ${hello.memberId}`, refusal)
      return null
    }
    const own = this.#context.config.identity()
    const welcome = encodeHello({ identity: own, purpose, expects: hello.memberId })
    channel.send(WIRE_KIND.welcome, [welcome])
    return hello
  }

  #refuse(channel: Channel, subject: string, refusal: Refusal): void {
    const { code, message } = refusal
    this.#context.traffic.refused(code)
    if (code !== 'ERR_OWN_ADDRESS') {
      this.#context.warnings.warn(code, subject, `refused a connection from ${subject}: ${message}`)
    }
    channel.send(WIRE_KIND.refusal, [encodeRefusal(refusal)])
    channel.finish()
  }

  #warnGarbage(host: string, fault: Error): void {
    const message = `closed a connection from ${host}: ${fault.message}`
    this.#context.warnings.warn('ERR_HANDSHAKE', host, message, fault)
  }
}

function keyOf(socket: Socket): string | null {
  if (socket.remoteAddress === undefined) return null
  return `${socket.remoteAddress} ${socket.remotePort}`
}

function tryDecode(body: Uint8Array): ReturnType<typeof decodeHello> | null {
  try {
    return decodeHello(body)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}
