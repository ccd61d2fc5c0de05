import { setTimeout as pause } from 'node:timers/promises'
import multicastDns, { type MulticastDNS } from 'multicast-dns'
import {
  ADDRESSES_MAX,
  checkNotAborted,
  type Discovery,
  discoveryClosed,
  discoveryFailed,
  type FindOptions,
  type Found,
  toAddress,
} from '../cluster/cluster.ts'
import { Announcements } from './announcements.ts'
import {
  type Announcement,
  describeNode,
  isAsked,
  type MdnsRecord,
  type Own,
  question,
  readAnnouncements,
} from './mdns-records.ts'
import { createModestSocket } from './modest-socket.ts'

export interface MdnsDiscoveryOptions {
  readonly cluster: string
  readonly nodeId: string
  /** The IPv4 address of the one interface to use; without it, those that the system takes. */
  readonly interface: string | undefined
  /** @defaultValue 5353 */
  readonly port?: number | undefined
  /** The same packet is sent at most so often, as RFC 6762 asks for. @defaultValue 1000 */
  readonly gapMs?: number | undefined
  /** Why this node could speak with nobody just now, whoever is there; null where it can. */
  readonly fault?: (() => string | null) | undefined
}

const PORT = 5353
const GAP_MS = 1_000
/** Others on the same network have answered by then, but for those that must wait for their gap. */
const ANSWER_MS = 200
/** A goodbye is a courtesy: a network that is gone does not hold a close up. */
const GOODBYE_MS_MAX = 500

/** A socket, and whether it could be bound. */
interface Opened {
  readonly mdns: MulticastDNS
  readonly ready: PromiseWithResolvers<void>
}

/**
 * Nodes on the same network, by multicast DNS: each tells its address under the service
 * `_colmena._tcp.local`, and asks for those of its own cluster. Whatever others send there is
 * ignored, or kept within bounds.
 */
export class MdnsDiscovery implements Discovery {
  readonly #options: MdnsDiscoveryOptions
  readonly #announcements = new Announcements()
  readonly #end = new AbortController()
  /** Resolves once another node was heard. */
  readonly #heard = Promise.withResolvers<void>()
  #opened: Opened | null = null
  #own: Own | null = null
  #saidMs = Number.NEGATIVE_INFINITY
  #askedMs = Number.NEGATIVE_INFINITY
  #sayAgain: NodeJS.Timeout | undefined
  #closing: Promise<void> | undefined

  constructor(options: MdnsDiscoveryOptions) {
    this.#options = options
  }

  async announce(address: string): Promise<void> {
    this.#checkOpen()
    const at = address.lastIndexOf(':')
    const host = address.slice(0, at).replace(/^\[|\]$/g, '')
    const { cluster, nodeId } = this.#options
    const own = { cluster, nodeId, host, port: Number(address.slice(at + 1)) }
    if (this.#own !== null) await this.#send(describeNode(this.#own, true))
    this.#own = own
    await this.#open()
    await this.#send(describeNode(own))
    this.#saidMs = performance.now()
    // Twice, as a packet may be lost, and whoever has just started may not listen yet.
    this.#answer()
  }

  async find({ signal }: FindOptions): Promise<Found> {
    this.#checkOpen()
    checkNotAborted(signal)
    const fault = this.#options.fault?.() ?? null
    if (fault !== null) throw discoveryFailed(fault)
    await this.#open()
    if (performance.now() - this.#askedMs >= this.#gapMs) {
      this.#askedMs = performance.now()
      await this.#ask(signal)
      this.#checkOpen()
      checkNotAborted(signal)
    }
    const addresses = this.#announcements.addresses(performance.now())
    return { addresses, isAll: addresses.length < ADDRESSES_MAX }
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  get #gapMs(): number {
    return this.#options.gapMs ?? GAP_MS
  }

  #checkOpen(): void {
    if (this.#end.signal.aborted) throw discoveryClosed()
  }

  /** Anew after each failure: a network may come up later than this node. */
  async #open(): Promise<void> {
    this.#opened ??= this.#listen()
    await this.#opened.ready.promise
    this.#checkOpen()
  }

  #listen(): Opened {
    const { interface: own, port = PORT } = this.#options
    const where = own === undefined ? {} : { interface: own }
    // Bound to an interface's own address, a socket gets nothing that was sent to the group.
    const how = { ...where, port, bind: '0.0.0.0', loopback: true }
    const mdns = multicastDns({ ...how, socket: createModestSocket() })
    const ready = Promise.withResolvers<void>()
    ready.promise.catch(() => {})
    mdns.on('ready', ready.resolve)
    mdns.on('error', (error: Error) => {
      if (this.#opened?.mdns === mdns) this.#opened = null
      mdns.destroy()
      ready.reject(discoveryFailed(`multicast DNS has no port ${port}: ${error.message}`, error))
    })
    mdns.on('query', ({ questions = [] }) => {
      if (this.#own !== null && isAsked(this.#own, questions)) this.#answer()
    })
    mdns.on('response', ({ answers = [], additionals = [] }, { address: sender }) => {
      const records = [...answers, ...additionals] as readonly MdnsRecord[]
      for (const announcement of readAnnouncements(records, this.#options.cluster)) {
        this.#announcements.hear(announcement, sender, performance.now())
        if (!this.#isOwn(announcement)) this.#heard.resolve()
      }
    })
    return { mdns, ready }
  }

  #isOwn({ address }: Announcement): boolean {
    return this.#own !== null && address === toAddress(this.#own.host, this.#own.port)
  }

  /** All who ask within a gap are answered by one packet, as all of them hear it. */
  #answer(): void {
    if (this.#sayAgain !== undefined) return
    const restMs = this.#gapMs - (performance.now() - this.#saidMs)
    this.#sayAgain = setTimeout(
      () => {
        this.#sayAgain = undefined
        if (this.#own === null || this.#end.signal.aborted) return
        this.#saidMs = performance.now()
        this.#send(describeNode(this.#own)).catch(() => {})
      },
      Math.max(0, restMs),
    ).unref()
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { mdns } = this.#opened as Opened
    await new Promise<void>((resolve, reject) => {
      mdns.query({ questions: [question(this.#options.cluster)] }, (error: Error | null) => {
        if (error) reject(discoveryFailed(`multicast DNS reaches nobody: ${error.message}`, error))
        else resolve()
      })
    })
    const ending = AbortSignal.any([signal, this.#end.signal])
    await pause(ANSWER_MS, undefined, { signal: ending }).catch(() => {})
    // One that has answered somebody else just now must let a gap go by: nobody is nobody after it.
    const patience = new AbortController()
    const late = pause(this.#gapMs, undefined, {
      signal: AbortSignal.any([ending, patience.signal]),
    })
    await Promise.race([this.#heard.promise, late.catch(() => {})])
    patience.abort()
  }

  /** @throws ColmenaError ERR_DISCOVERY */
  async #send(answers: readonly MdnsRecord[]): Promise<void> {
    const mdns = this.#opened?.mdns
    if (mdns === undefined) return
    await new Promise<void>((resolve, reject) => {
      mdns.respond([...answers] as never, (error: Error | null) => {
        if (error) reject(discoveryFailed(`multicast DNS reaches nobody: ${error.message}`, error))
        else resolve()
      })
    })
  }

  async #shutDown(): Promise<void> {
    this.#end.abort()
    clearTimeout(this.#sayAgain)
    const opened = this.#opened
    if (opened === null) return
    if (this.#own !== null) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, GOODBYE_MS_MAX).unref())
      await Promise.race([this.#send(describeNode(this.#own, true)).catch(() => {}), late])
    }
    // Closed amid its opening it never is ready.
    opened.ready.reject(discoveryClosed())
    await new Promise<void>((resolve) => opened.mdns.destroy(resolve))
  }
}
