import { ColmenaError } from '../../src/base/errors.ts'
import type { Cancel } from '../../src/base/ports.ts'
import { FRAMES } from '../../src/engine/wire.ts'
import {
  decodeMessage,
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
  type TransportSecurity,
} from '../../src/transport/transport.ts'
import type { SeededRandom } from './random.ts'
import type { DirectorySnapshots } from './sqlite-machine.ts'
import type { Timeline } from './timeline.ts'

/** How the network behaves; drawn per life. */
export interface NetworkOptions {
  readonly latencyMsMin: number
  readonly latencyMsMax: number
  /** The chance, per frame, that its connection breaks and loses all that is under way on it. */
  readonly resetChance: number
  /** The chance, each time a frame meets a cut, that its connection breaks and does not wait. */
  readonly impatience: number
  /**
   * Messages of consensus travel as datagrams would: in any order, twice, never, or so late that
   * their connection, or the process that they were for, is gone. That is more than wires of ours
   * do, and no more than Raft must bear.
   */
  readonly hasDatagrams: boolean
}

/** What becomes of a datagram. */
const LOST_CHANCE = 0.01
const TWICE_CHANCE = 0.02
const LATE_CHANCE = 0.01
const LATE_MS_MAX = 60_000

interface Frame {
  readonly kind: number
  readonly body: Uint8Array
}

/** One dialed connection: frames of a lane arrive in order, or not at all once it is broken. */
interface Connection {
  isOpen: boolean
  /** The process at its other end: another one at the same address is none of its business. */
  readonly remote: Endpoint
  /** What is under way, in order: whatever arrives is the first of them. */
  readonly frames: Record<Lane, Frame[]>
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

/** All wires between simulated processes: latency, jams, broken connections, cuts either way. */
export class SimulatedNetwork {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly options: NetworkOptions
  readonly endpoints: Map<string, Endpoint> = new Map()
  /** What is wrong with wires, by what ends it: by how much each is slower, or cut. */
  #troubles: { readonly from: string; readonly to: string; readonly slowerMs: number }[] = []

  constructor(timeline: Timeline, random: SeededRandom, options: NetworkOptions) {
    this.timeline = timeline
    this.random = random
    this.options = options
  }

  /** Nothing goes from one address to the other; what is under way waits, or is lost. */
  cut(from: string, to: string): Cancel {
    return this.slow(from, to, Number.POSITIVE_INFINITY)
  }

  /** What goes from one address to the other takes so much longer. */
  slow(from: string, to: string, slowerMs: number): Cancel {
    const trouble = { from, to, slowerMs }
    this.#troubles.push(trouble)
    return () => {
      this.#troubles = this.#troubles.filter((one) => one !== trouble)
    }
  }

  heal(): void {
    this.#troubles = []
  }

  isCut(from: string, to: string): boolean {
    return this.#slowerMs(from, to) === Number.POSITIVE_INFINITY
  }

  latencyMs(from: string, to: string): number {
    const { latencyMsMin, latencyMsMax } = this.options
    const slowerMs = this.#slowerMs(from, to)
    const jamMs = slowerMs === Number.POSITIVE_INFINITY ? 0 : slowerMs
    return latencyMsMin + (this.random.below(1_000) / 1_000) * (latencyMsMax - latencyMsMin) + jamMs
  }

  #slowerMs(from: string, to: string): number {
    let sum = 0
    for (const one of this.#troubles) if (one.from === from && one.to === to) sum += one.slowerMs
    return sum
  }
}

/** One process's side of the network. */
export class Endpoint implements Transport {
  readonly port = 1
  readonly certificateEndsMs = null
  readonly #network: SimulatedNetwork
  readonly #options: TransportOptions
  readonly #snapshots: DirectorySnapshots
  readonly #sent: (kind: number, body: Uint8Array) => void
  readonly handlers: TransportHandlers
  readonly address: string
  readonly #peers = new Map<number, Peer>()
  /** Members that hold a connection to this process. */
  readonly #incoming = new Map<number, { readonly dialer: Endpoint; count: number }>()
  isClosed = false
  /** Tell those who dialed this process that it is gone. */
  readonly #dialed = new Set<() => void>()

  constructor(
    network: SimulatedNetwork,
    options: TransportOptions,
    handlers: TransportHandlers,
    snapshots: DirectorySnapshots,
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

  /** Nothing is protected here. */
  rotate(_security: TransportSecurity, done: (error: ColmenaError | null) => void): void {
    this.#network.timeline.plan(0, () => done(null))
  }

  removePeer(id: number): void {
    const peer = this.#peers.get(id)
    if (peer === undefined) return
    this.#peers.delete(id)
    this.#break(peer)
  }

  endLinksOf(id: number): void {
    const dialer = this.#incoming.get(id)?.dialer
    if (dialer === undefined) return
    const peer = dialer.#peers.get(this.#memberId)
    if (peer !== undefined) dialer.#breakAndRedial(this.#memberId, peer, peer.connection)
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
    if (this.#network.options.hasDatagrams && isDatagram(kind, body)) {
      this.#sendDatagram(to, peer, lane, { kind, body })
      return true
    }
    const from = this.#memberId
    const latencyMs = this.#network.latencyMs(this.address, peer.address)
    const atMs = Math.max(connection.arrivals[lane], timeline.nowMs + latencyMs)
    connection.arrivals[lane] = atMs
    connection.frames[lane].push({ kind, body })
    const arrive = (): void => {
      const { remote } = connection
      if (!connection.isOpen) return
      if (this.#network.isCut(this.address, peer.address)) {
        // A cut shorter than the sockets' patience only delays; a longer one breaks them.
        if (random.chance(options.impatience)) this.#breakAndRedial(to, peer, connection)
        else timeline.plan(50, arrive)
        return
      }
      if (remote.isClosed) {
        this.#breakAndRedial(to, peer, connection)
        return
      }
      const frame = connection.frames[lane].shift() as Frame
      remote.#heard(from)
      remote.handlers.frame(from, lane, frame.kind, frame.body)
    }
    timeline.plan(atMs - timeline.nowMs, arrive)
    return true
  }

  /** On no connection: whoever is there when it comes gets it. */
  #sendDatagram(to: number, peer: Peer, lane: Lane, { kind, body }: Frame): void {
    const { timeline, random } = this.#network
    const { address, connection } = peer
    const from = this.#memberId
    const deliver = (): void => {
      if (this.#network.isCut(this.address, address)) return
      // A machine that lost power tells of it only once it is up again and hears something.
      if (connection?.remote.isClosed) this.#breakAndRedial(to, peer, connection)
      const remote = this.#network.endpoints.get(address)
      if (remote === undefined || remote.isClosed || !remote.#incoming.has(from)) return
      remote.#heard(from)
      remote.handlers.frame(from, lane, kind, Uint8Array.from(body))
    }
    const send = (): void => {
      const lateMs = random.chance(LATE_CHANCE) ? random.below(LATE_MS_MAX) : 0
      timeline.plan(this.#network.latencyMs(this.address, address) + lateMs, deliver)
    }
    if (!random.chance(LOST_CHANCE)) send()
    if (random.chance(TWICE_CHANCE)) send()
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
    timeline.plan(this.#network.latencyMs(this.address, address), () => {
      const remote = this.#network.endpoints.get(address)
      if (remote === undefined || remote.isClosed) {
        finish(new ColmenaError('ERR_FAILED', `cannot reach ${address}`, { retryable: true }))
        return
      }
      if (this.#network.isCut(this.address, address)) return
      remote.handlers.call(this.#hello(), kind, Uint8Array.from(body), (error, answer) => {
        timeline.plan(this.#network.latencyMs(address, this.address), () => {
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
    timeline.plan(this.#network.latencyMs(this.address, address), () => {
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

  /**
   * The process is gone: its sockets close, and others notice. If its machine lost power they do
   * once they send something, and another one is there.
   */
  vanish(isSilent = false): void {
    if (this.isClosed) return
    this.isClosed = true
    if (this.#network.endpoints.get(this.address) === this) {
      this.#network.endpoints.delete(this.address)
    }
    if (isSilent) return
    for (const peer of this.#peers.values()) this.#break(peer)
    for (const notice of this.#dialed) this.#network.timeline.plan(1, notice)
  }

  #hello(): PeerHello {
    const identity = this.#options.identity()
    return { ...identity, purpose: 'call', isIncoming: true, remoteAddress: this.address }
  }

  #dial(id: number, peer: Peer): void {
    if (peer.isDialing || peer.connection?.isOpen || this.isClosed) return
    peer.isDialing = true
    const { timeline } = this.#network
    timeline.plan(this.#network.latencyMs(this.address, peer.address) * 2, () => {
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
      const connection = {
        isOpen: true,
        remote,
        frames: { control: [], bulk: [] },
        arrivals: { control: 0, bulk: 0 },
      }
      peer.connection = connection
      remote.#dialed.add(() => this.#breakAndRedial(id, peer, connection))
      peer.hello = remote.#hello()
      remote.#accepted(this)
    })
  }

  get #memberId(): number {
    return this.#options.identity().memberId
  }

  #redial(id: number, peer: Peer): void {
    const { timeline, random } = this.#network
    timeline.plan(REDIAL_MS + random.below(REDIAL_MS), () => this.#dial(id, peer))
  }

  #breakAndRedial(id: number, peer: Peer, connection: Connection | null): void {
    if (peer.connection !== connection || !connection?.isOpen) return
    this.#break(peer)
    this.#redial(id, peer)
  }

  #break(peer: Peer, cause: 'processGone' | 'link' = 'link'): void {
    const { connection } = peer
    if (connection === null || !connection.isOpen) return
    connection.isOpen = false
    const seen = this.isClosed ? 'processGone' : cause
    this.#network.timeline.plan(this.#network.latencyMs(this.address, peer.address), () => {
      connection.remote.#lost(this, seen)
    })
  }

  #accepted(dialer: Endpoint): void {
    const from = dialer.#memberId
    const before = this.#incoming.get(from)
    this.#heard(from)
    if (before?.dialer === dialer) {
      before.count += 1
      return
    }
    this.#incoming.set(from, { dialer, count: 1 })
    // Another process of the member: the one before is gone, though nothing said so.
    if (before !== undefined) this.handlers.disconnected(from, 'link')
    this.handlers.connected(from, dialer.#hello())
  }

  #lost(dialer: Endpoint, cause: 'processGone' | 'link'): void {
    if (this.isClosed) return
    const from = dialer.#memberId
    const incoming = this.#incoming.get(from)
    if (incoming?.dialer !== dialer) return
    incoming.count -= 1
    if (incoming.count > 0) return
    this.#incoming.delete(from)
    this.handlers.disconnected(from, cause)
  }

  #heard(from: number): void {
    const peer = this.#peers.get(from)
    if (peer !== undefined) peer.lastContactMs = this.#network.timeline.nowMs
  }
}

/**
 * Answers to appends stay in order: a member is not listened to any more whose rejection, come
 * late, says of its log that it lost what it had acknowledged. Wires of ours keep that order.
 */
function isDatagram(kind: number, body: Uint8Array): boolean {
  const message = kind === FRAMES.raft ? decodeMessage(body) : null
  return message !== null && message.type !== 'appendResponse'
}
