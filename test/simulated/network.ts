import { ColmenaError } from '../../src/base/errors.ts'
import type { Cancel } from '../../src/base/ports.ts'
import {
  type Lane,
  type PeerHello,
  type PeerStatus,
  type Reply,
  type SnapshotManifest,
  Traffic,
  type TrafficValue,
  type Transport,
  type TransportHandlers,
  type TransportOptions,
} from '../../src/transport/transport.ts'
import type { SeededRandom } from './random.ts'
import type { SnapshotFiles } from './storage.ts'
import type { Timeline } from './timeline.ts'

/** How the network behaves; drawn per life. */
export interface NetworkOptions {
  readonly latencyMsMin: number
  readonly latencyMsMax: number
  /** The chance, per frame, that its connection breaks and loses all that is under way on it. */
  readonly resetChance: number
}

/** One dialed connection: frames of a lane arrive in order, or not at all once it is broken. */
interface Connection {
  isOpen: boolean
  readonly arrivals: Record<Lane, number>
}

interface Peer {
  address: string
  connection: Connection | null
  isDialing: boolean
  lastContactMs: number | null
  hello: PeerHello | null
}

const REDIAL_MS = 60
const SNAPSHOT_MS = 40

/** All wires between simulated processes: latency, broken connections, cuts in either direction. */
export class SimulatedNetwork {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly options: NetworkOptions
  readonly endpoints: Map<string, Endpoint> = new Map()
  readonly #cuts = new Set<string>()

  constructor(timeline: Timeline, random: SeededRandom, options: NetworkOptions) {
    this.timeline = timeline
    this.random = random
    this.options = options
  }

  /** Nothing goes from one address to the other; what is under way waits, or is lost. */
  cut(from: string, to: string): void {
    this.#cuts.add(`${from}>${to}`)
  }

  heal(): void {
    this.#cuts.clear()
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }

  latencyMs(): number {
    const { latencyMsMin, latencyMsMax } = this.options
    return latencyMsMin + (this.random.below(1_000) / 1_000) * (latencyMsMax - latencyMsMin)
  }
}

/** One process's side of the network. */
export class Endpoint implements Transport {
  readonly port = 1
  readonly #network: SimulatedNetwork
  readonly #options: TransportOptions
  readonly #snapshots: SnapshotFiles
  readonly #sent: (kind: number, body: Uint8Array) => void
  readonly handlers: TransportHandlers
  readonly address: string
  readonly #peers = new Map<number, Peer>()
  /** Members that hold a connection to this process. */
  readonly #incoming = new Map<number, number>()
  isClosed = false

  constructor(
    network: SimulatedNetwork,
    options: TransportOptions,
    handlers: TransportHandlers,
    snapshots: SnapshotFiles,
    sent: (kind: number, body: Uint8Array) => void,
  ) {
    this.#network = network
    this.#options = options
    this.#snapshots = snapshots
    this.#sent = sent
    this.handlers = handlers
    this.address = options.identity().address
    network.endpoints.set(this.address, this)
  }

  setPeer(id: number, address: string): void {
    const peer = this.#peers.get(id)
    if (peer?.address === address) return
    const fresh: Peer = {
      address,
      connection: null,
      isDialing: false,
      lastContactMs: peer?.lastContactMs ?? null,
      hello: null,
    }
    this.#peers.set(id, fresh)
    this.#dial(id, fresh)
  }

  removePeer(id: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    this.#break(peer)
  }

  send(to: number, lane: Lane, kind: number, parts: readonly Uint8Array[]): boolean {
    const peer = this.#peers.get(to)
    const connection = peer?.connection
    if (this.isClosed || peer === undefined || !connection?.isOpen) return false
    const { timeline, random, options } = this.#network
    if (random.chance(options.resetChance)) {
      this.#break(peer)
      this.#redial(to, peer)
      return true
    }
    const body = Uint8Array.from(Buffer.concat(parts))
    this.#sent(kind, body)
    timeline.trace.number(kind)
    timeline.trace.bytes(body)
    const from = this.#options.identity().memberId
    const atMs = Math.max(connection.arrivals[lane], timeline.nowMs + this.#network.latencyMs())
    connection.arrivals[lane] = atMs
    const deliver = (): void => {
      const remote = this.#network.endpoints.get(peer.address)
      if (!connection.isOpen || remote === undefined || remote.isClosed) return
      if (this.#network.isCut(this.address, peer.address)) {
        // A cut shorter than the sockets' patience only delays; a longer one breaks them.
        if (random.chance(0.2)) this.#breakAndRedial(to, peer, connection)
        else timeline.plan(50, deliver)
        return
      }
      remote.#heard(from)
      remote.handlers.frame(from, lane, kind, body)
    }
    timeline.plan(atMs - timeline.nowMs, deliver)
    return true
  }

  queuedBytes(): number {
    return 0
  }

  call(to: number | string, kind: number, body: Uint8Array, timeoutMs: number, done: Reply): void {
    const address = typeof to === 'string' ? to : (this.#peers.get(to)?.address ?? '')
    const { timeline } = this.#network
    let isOver = false
    const finish: Reply = (error, answer) => {
      if (isOver || this.isClosed) return
      isOver = true
      cancel()
      done(error, answer)
    }
    const cancel = timeline.plan(timeoutMs, () =>
      finish(new ColmenaError('ERR_TIMEOUT', 'no answer', { outcome: 'unknown' })),
    )
    timeline.plan(this.#network.latencyMs(), () => {
      const remote = this.#network.endpoints.get(address)
      if (remote === undefined || remote.isClosed) {
        finish(new ColmenaError('ERR_FAILED', `cannot reach ${address}`, { retryable: true }))
        return
      }
      if (this.#network.isCut(this.address, address)) return
      remote.handlers.call(this.#hello(), kind, Uint8Array.from(body), (error, answer) => {
        timeline.plan(this.#network.latencyMs(), () => {
          if (!this.#network.isCut(address, this.address)) finish(error, answer)
        })
      })
    })
  }

  sendSnapshot(
    to: number,
    manifest: SnapshotManifest,
    directory: string,
    done: (error: ColmenaError | null) => void,
  ): Cancel {
    const { timeline, random } = this.#network
    const address = this.#peers.get(to)?.address ?? ''
    let isOver = false
    const finish = (error: ColmenaError | null): void => {
      if (isOver || this.isClosed) return
      isOver = true
      done(error)
    }
    const fail = (reason: string): void => finish(new ColmenaError('ERR_FAILED', reason))
    timeline.plan(this.#network.latencyMs(), () => {
      const remote = this.#network.endpoints.get(address)
      if (remote === undefined || remote.isClosed || this.#network.isCut(this.address, address)) {
        fail('unreachable')
        return
      }
      const from = this.#options.identity().memberId
      const accept = (target: string): void => {
        timeline.plan(SNAPSHOT_MS + random.below(200), () => {
          const isWhole = !remote.isClosed && !random.chance(0.2)
          if (!isWhole || !remote.#snapshots.receive(this.#snapshots, directory, target)) {
            if (!remote.isClosed) {
              remote.handlers.snapshotReceived(
                from,
                manifest,
                new ColmenaError('ERR_FAILED', 'cut'),
              )
            }
            fail('the stream broke')
            return
          }
          remote.handlers.snapshotReceived(from, manifest, null)
          finish(null)
        })
      }
      remote.handlers.snapshotOffered(from, manifest, accept, fail)
    })
    return () => fail('cancelled')
  }

  peers(): readonly PeerStatus[] {
    return [...this.#peers].map(([id, peer]) => ({
      id,
      address: peer.address,
      isConnected: peer.connection?.isOpen === true,
      isIncoming: this.#incoming.has(id),
      lastContactMs:
        peer.lastContactMs === null
          ? null
          : this.#options.clock.nowMs() - (this.#network.timeline.nowMs - peer.lastContactMs),
      rttMs: null,
      hello: peer.hello,
      lastError: null,
    }))
  }

  traffic(): TrafficValue {
    return new Traffic().value()
  }

  close(done: () => void): void {
    this.vanish()
    this.#network.timeline.plan(0, done)
  }

  /**
   * The wire to a member breaks, in both directions, in the way that looks most like its process'
   * end: every socket is reset.
   */
  reset(to: number): void {
    const peer = this.#peers.get(to)
    const remote = peer === undefined ? undefined : this.#network.endpoints.get(peer.address)
    if (peer === undefined || remote === undefined) return
    this.#break(peer, 'processGone')
    this.#redial(to, peer)
    const back = remote.#peers.get(this.#memberId)
    if (back === undefined) return
    remote.#break(back, 'processGone')
    remote.#redial(this.#memberId, back)
  }

  /** The process is gone: its sockets close, and others notice. */
  vanish(): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.#network.endpoints.get(this.address) === this) {
      this.#network.endpoints.delete(this.address)
    }
    for (const peer of this.#peers.values()) this.#break(peer)
  }

  #hello(): PeerHello {
    const identity = this.#options.identity()
    return { ...identity, purpose: 'call', isIncoming: true, remoteAddress: this.address }
  }

  #dial(id: number, peer: Peer): void {
    if (peer.isDialing || peer.connection?.isOpen || this.isClosed) return
    peer.isDialing = true
    const { timeline } = this.#network
    timeline.plan(this.#network.latencyMs() * 2, () => {
      peer.isDialing = false
      if (this.isClosed || this.#peers.get(id) !== peer) return
      const remote = this.#network.endpoints.get(peer.address)
      const isCut =
        this.#network.isCut(this.address, peer.address) ||
        this.#network.isCut(peer.address, this.address)
      if (remote === undefined || remote.isClosed || isCut || remote.#memberId !== id) {
        this.#redial(id, peer)
        return
      }
      peer.connection = { isOpen: true, arrivals: { control: 0, bulk: 0 } }
      peer.hello = remote.#hello()
      remote.#accepted(this.#memberId, this.#hello())
    })
  }

  get #memberId(): number {
    return this.#options.identity().memberId
  }

  #redial(id: number, peer: Peer): void {
    const { timeline, random } = this.#network
    timeline.plan(REDIAL_MS + random.below(REDIAL_MS), () => this.#dial(id, peer))
  }

  #breakAndRedial(id: number, peer: Peer, connection: Connection): void {
    if (peer.connection !== connection) return
    this.#break(peer)
    this.#redial(id, peer)
  }

  #break(peer: Peer, cause: 'processGone' | 'link' = 'link'): void {
    const { connection } = peer
    if (connection === null || !connection.isOpen) return
    connection.isOpen = false
    const seen = this.isClosed ? 'processGone' : cause
    const from = this.#memberId
    this.#network.timeline.plan(this.#network.latencyMs(), () => {
      const remote = this.#network.endpoints.get(peer.address)
      if (remote !== undefined) remote.#lost(from, seen)
    })
  }

  #accepted(from: number, hello: PeerHello): void {
    const count = this.#incoming.get(from) ?? 0
    this.#incoming.set(from, count + 1)
    this.#heard(from)
    if (count === 0) this.handlers.connected(from, hello)
  }

  #lost(from: number, cause: 'processGone' | 'link'): void {
    if (this.isClosed) return
    const count = this.#incoming.get(from) ?? 0
    if (count > 1) {
      this.#incoming.set(from, count - 1)
    } else if (count === 1) {
      this.#incoming.delete(from)
      this.handlers.disconnected(from, cause)
    }
  }

  #heard(from: number): void {
    const peer = this.#peers.get(from)
    if (peer !== undefined) peer.lastContactMs = this.#network.timeline.nowMs
  }
}
