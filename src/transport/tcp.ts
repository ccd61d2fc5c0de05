import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { MemberId } from '../raft/types.ts'
import { Acceptor } from './acceptor.ts'
import { CallPool } from './call-pool.ts'
import { CallServer } from './call-server.ts'
import { CertificateWatch } from './certificate-watch.ts'
import type { Channel } from './channel.ts'
import { checkOptions, createContext, type TransportContext } from './config.ts'
import { Dialer } from './dialer.ts'
import { checkHello, checkIdentity } from './hello.ts'
import { InboundLinks } from './inbound-links.ts'
import { PeerLink } from './peer-link.ts'
import type {
  Lane,
  PeerHello,
  PeerStatus,
  Refusal,
  Reply,
  SnapshotManifest,
  Transport,
  TransportHandlers,
  TransportOptions,
  TransportSecurity,
} from './port.ts'
import { createSecurity, type Security } from './security.ts'
import { SnapshotStreams } from './snapshot-streams.ts'
import type { TrafficValue } from './traffic.ts'
import { OWNER_KIND_MAX } from './wire-kind.ts'

const LEFTOVER_MS = 2000

/** The transport over real sockets; see {@link openTransport}. */
export class TcpTransport implements Transport {
  readonly #context: TransportContext
  readonly #dialer: Dialer
  readonly #acceptor: Acceptor
  readonly #inbound: InboundLinks
  readonly #calls: CallPool
  readonly #callServer: CallServer
  readonly #snapshots: SnapshotStreams
  readonly #certificate: CertificateWatch
  readonly #peers = new Map<MemberId, PeerLink>()
  #cancelSweep: Cancel = () => {}
  #port = 0
  /** The number of the newest rotation, and of the one that holds. */
  #rotations = { asked: 0, done: 0 }
  #closing: (() => void)[] | null = null
  #isClosed = false

  /** @throws ColmenaError `ERR_INVALID_OPTION`, `ERR_INVALID_ARGUMENT` */
  constructor(
    options: Omit<TransportOptions, 'security'>,
    security: Security,
    handlers: TransportHandlers,
  ) {
    const config = checkOptions(options)
    checkIdentity(config.identity())
    const context = createContext(config, handlers)
    const check = (hello: PeerHello, expects: number): Refusal | null => this.#check(hello, expects)
    const admit = (channel: Channel, hello: PeerHello): void => this.#admit(channel, hello)
    this.#context = context
    this.#dialer = new Dialer(context, security, check)
    this.#inbound = new InboundLinks(context)
    this.#calls = new CallPool(context, this.#dialer)
    this.#callServer = new CallServer(context)
    this.#snapshots = new SnapshotStreams(context, this.#dialer)
    this.#acceptor = new Acceptor(context, security, { check, admit })
    this.#certificate = new CertificateWatch(config.clock, security.validity, (message) => {
      handlers.warning('ERR_CERTIFICATE', message)
    })
  }

  get port(): number {
    return this.#port
  }

  get certificateEndsMs(): number | null {
    return this.#certificate.endsMs
  }

  listen(host: string, port: number, done: (error: ColmenaError | null) => void): void {
    this.#acceptor.listen(host, port, (error) => {
      if (error === null) {
        this.#port = this.#acceptor.port
        this.#planSweep()
      }
      done(error)
    })
  }

  setPeer(id: MemberId, address: string): void {
    assert(Number.isSafeInteger(id) && id > 0, 'a peer has a positive member id')
    if (this.#closing !== null || this.#peers.get(id)?.address === address) return
    this.#peers.get(id)?.close('link')
    this.#peers.set(id, new PeerLink(this.#context, this.#dialer, id, address))
  }

  removePeer(id: MemberId): void {
    this.#peers.get(id)?.close('link')
    this.#peers.delete(id)
  }

  endLinksOf(id: MemberId): void {
    this.#inbound.end(id)
  }

  send(to: MemberId, lane: Lane, kind: number, parts: readonly Uint8Array[]): boolean {
    assert(kind >= 0 && kind <= OWNER_KIND_MAX, 'frame kinds above 199 are the transport’s own')
    return this.#peers.get(to)?.send(lane, kind, parts) ?? false
  }

  queuedBytes(to: MemberId): number {
    return this.#peers.get(to)?.queuedBytes ?? 0
  }

  call(
    to: MemberId | string,
    kind: number,
    body: Uint8Array,
    timeoutMs: number,
    done: Reply,
  ): void {
    if (typeof to === 'string') {
      this.#calls.call({ address: to, expects: 0 }, kind, body, timeoutMs, done)
      return
    }
    const peer = this.#peers.get(to)
    if (peer === undefined) {
      process.nextTick(done, unknownPeer(to))
      return
    }
    this.#calls.call({ address: peer.address, expects: to }, kind, body, timeoutMs, done)
  }

  sendSnapshot(
    to: MemberId,
    manifest: SnapshotManifest,
    directory: string,
    done: (error: ColmenaError | null) => void,
  ): Cancel {
    const peer = this.#peers.get(to)
    if (peer === undefined || this.#closing !== null) {
      process.nextTick(done, peer === undefined ? unknownPeer(to) : closedError())
      return () => {}
    }
    return this.#snapshots.send({ id: to, address: peer.address }, manifest, directory, done)
  }

  rotate(options: TransportSecurity, done: (error: ColmenaError | null) => void): void {
    this.#rotations.asked += 1
    const number = this.#rotations.asked
    createSecurity(options, (error, security) => {
      if (security === null || this.#closing !== null) {
        done(error ?? closedError())
        return
      }
      // One that was asked for later may have been ready sooner.
      if (number > this.#rotations.done) {
        this.#rotations.done = number
        this.#secure(security)
      }
      done(null)
    })
  }

  peers(): readonly PeerStatus[] {
    return [...this.#peers.values()].map((peer) => {
      const session = this.#inbound.find(peer.id)
      const heard = [peer.heardMs, session?.heardMs].filter((ms) => typeof ms === 'number')
      return {
        id: peer.id,
        address: peer.address,
        isConnected: peer.isConnected,
        isIncoming: session !== undefined,
        lastContactMs: heard.length === 0 ? null : Math.max(...heard),
        rttMs: peer.rttMs,
        hello: session?.hello ?? peer.hello,
        lastError: peer.lastError,
      }
    })
  }

  traffic(): TrafficValue {
    return this.#context.traffic.value()
  }

  close(done: () => void): void {
    if (this.#isClosed) {
      process.nextTick(done)
      return
    }
    if (this.#closing !== null) {
      this.#closing.push(done)
      return
    }
    this.#closing = [done]
    this.#cancelSweep()
    this.#context.warnings.close()
    this.#inbound.close()
    this.#callServer.close()
    this.#calls.close()
    this.#snapshots.close()
    for (const peer of this.#peers.values()) peer.close('processGone')
    this.#peers.clear()
    const { resources, config } = this.#context
    // Channels that still send their last frames have a short bound of their own; this one is
    // for whatever else may be left.
    const cancel = config.clock.setTimer(LEFTOVER_MS, () => resources.destroyAll())
    this.#acceptor.close(() => {
      resources.whenEmpty(() => {
        cancel()
        this.#closed()
      })
    })
  }

  #secure(security: Security): void {
    this.#certificate.replace(security.validity)
    this.#dialer.secure(security)
    this.#acceptor.secure(security)
    for (const peer of this.#peers.values()) peer.renew()
    this.#inbound.renew()
    this.#calls.renew()
    this.#callServer.renew()
    this.#snapshots.renew()
  }

  #closed(): void {
    this.#isClosed = true
    for (const done of this.#closing ?? []) done()
  }

  #check(hello: PeerHello, expects: number): Refusal | null {
    const refusal = checkHello(this.#context.config.identity(), hello, expects)
    if (refusal !== null) return refusal
    if (hello.memberId !== 0 && this.#inbound.isOtherProcessAlive(hello)) {
      return {
        code: 'ERR_ALREADY_OPEN',
        message: `another live process is linked as member ${hello.memberId}`,
      }
    }
    return this.#closing === null
      ? this.#context.handlers.peerHello(hello)
      : { code: 'ERR_CLOSED', message: 'this node is closing' }
  }

  #admit(channel: Channel, hello: PeerHello): void {
    const { purpose } = hello
    if (purpose === 'call') this.#callServer.admit(channel, hello)
    else if (purpose === 'snapshot') this.#snapshots.admit(channel, hello)
    else {
      this.#inbound.admit(channel, purpose, hello)
      this.#peers.get(hello.memberId)?.dialNow()
    }
  }

  #planSweep(): void {
    const { clock, pingMs } = this.#context.config
    this.#cancelSweep = clock.setTimer(pingMs, () => this.#sweep())
  }

  #sweep(): void {
    for (const peer of this.#peers.values()) peer.ping()
    this.#inbound.sweep()
    this.#calls.sweep()
    this.#callServer.sweep()
    this.#certificate.look()
    this.#planSweep()
  }
}

function unknownPeer(id: MemberId): ColmenaError {
  return new ColmenaError('ERR_FAILED', `no address is known for member ${id}`, { retryable: true })
}

function closedError(): ColmenaError {
  return new ColmenaError('ERR_CLOSED', 'the transport is closed')
}
