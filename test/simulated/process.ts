import { SharedState } from '../../src/base/shared-state.ts'
import { WriteEncoder } from '../../src/command/command.ts'
import {
  Engine,
  type EngineConfig,
  type EnginePorts,
  type EngineToUser,
} from '../../src/engine/engine.ts'
import { FRAMES } from '../../src/engine/wire.ts'
import type { Disk } from '../../src/log/log.ts'
import type { Entry, Message } from '../../src/raft/types.ts'
import { decodeMessage, type TransportHandlers } from '../../src/transport/transport.ts'
import { losePower, type ModelState, type ModelStore, SimulatedApplier } from './applier.ts'
import type { ConsensusNode, RunningNode } from './consensus.ts'
import { SimulatedDisk } from './disk.ts'
import { DurableLog } from './durable-log.ts'
import { Endpoint, type SimulatedNetwork } from './network.ts'
import type { SeededRandom } from './random.ts'

/** What a process tells those who watch the simulation. */
export interface ProcessWatcher {
  /** Any event of this process was handled. */
  stepped(process: SimulatedProcess): void
  /** A message of consensus is on its way to another member. */
  sent(process: SimulatedProcess, message: Message): void
  applied(process: SimulatedProcess, entry: Entry): void
  /** A snapshot took the place of what the process had. */
  installed(process: SimulatedProcess): void
  acknowledged(text: string, index: number): void
  /** A write that is known never to apply. */
  rejected(text: string): void
  /** The product itself found that something is wrong here. */
  alarmed(process: SimulatedProcess, message: string): void
}

export interface ProcessOptions {
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  readonly watcher: ProcessWatcher
  readonly nodeId: string
  readonly address: string
  readonly joins: string | null
  /**
   * Lies about syncs: acknowledgements leave before what they speak of is durable, and a power loss
   * takes all of it. What survives of such a log tends to give the lie away.
   */
  readonly skipsSync: boolean
}

/** What every machine's calendar shows when a simulation begins. */
export const WALL_ZERO_MS = 1_700_000_000_000

/** As many unanswered writes as a node lets out at once, and some more. */
const PENDING_MAX = 16

interface PendingRead {
  readonly level: 'weak' | 'strong'
  readonly done: (index: number) => void
}

/** One simulated machine: what is on its disk survives its processes. */
export class SimulatedProcess implements ConsensusNode {
  readonly options: ProcessOptions
  readonly memberId: number
  readonly disk: SimulatedDisk
  readonly durable: DurableLog
  readonly #store: ModelStore = { generations: new Map(), history: new Map() }
  #clusterId = ''
  #isEstablished = false
  #incarnation = 0
  #life = 0
  #engine: Engine | null = null
  #endpoint: Endpoint | null = null
  #applier: SimulatedApplier | null = null
  #sequences = new Map<string, number>()
  /** Texts of own writes that wait for their answer, by database and sequence. */
  #pending = new Map<string, string>()
  #reads = new Map<number, PendingRead>()
  #nextRead = 1
  #origin = ''
  isUp = false
  isReady = false
  /** It said that it can't go on, and a new process on the same disk could not either. */
  isBroken = false
  /** Simulated milliseconds run at this rate on this machine. */
  clockRate: number
  /** How far this machine's calendar is ahead. */
  wallAheadMs = 0
  shared: SharedState = new SharedState()

  constructor(options: ProcessOptions) {
    this.options = options
    const { random, network } = options
    this.memberId = 1 + random.below(2 ** 31)
    this.clockRate = 0.95 + random.below(100) / 1_000
    const diskRandom = random.stream('disk')
    this.disk = new SimulatedDisk({
      random: diskRandom,
      schedule: (operation, complete) => {
        const slow = diskRandom.chance(0.005) ? diskRandom.below(300) : 0
        const delayMs = operation.isSynced || operation.kind === 'sync' ? diskRandom.below(8) : 0.2
        network.timeline.plan(delayMs + slow, () => this.#run(complete))
      },
    })
    this.durable = new DurableLog(this.disk, 'log')
  }

  get name(): string {
    return this.options.nodeId
  }

  get running(): RunningNode | null {
    const parts = this.#engine?.running ?? null
    return parts === null ? null : { raft: parts.core.raft, log: parts.log }
  }

  get state(): ModelState | null {
    return this.#applier?.state ?? null
  }

  start(): void {
    if (this.isUp || this.isBroken) return
    this.isUp = true
    this.isReady = false
    this.#life += 1
    this.#incarnation += 1
    this.#sequences = new Map()
    this.#pending = new Map()
    this.#reads = new Map()
    this.shared = new SharedState()
    const genesis = this.options.joins === null ? 'bootstrap' : 'join'
    if (genesis === 'bootstrap' && this.#clusterId === '') this.#clusterId = 'c0'.repeat(16)
    if (!this.#isEstablished) this.#forget()
    this.#origin = Buffer.from(this.options.random.bytes(16)).toString('hex')
    this.#engine = new Engine(this.#createConfig(genesis), this.#createPorts())
    this.#engine.start()
  }

  /** `kill -9` keeps what was written; a power loss keeps only what was synced, and some more. */
  crash(losesPower: boolean): void {
    if (!this.isUp) return
    this.isUp = false
    this.isReady = false
    this.#life += 1
    this.#endpoint?.vanish()
    this.#endpoint = null
    this.#engine = null
    this.#applier = null
    if (losesPower) {
      const { random, skipsSync } = this.options
      this.disk.crash(skipsSync ? { kept: 0, garbage: 0 } : undefined)
      losePower(this.#store, '', random, skipsSync)
    } else {
      this.disk.kill()
    }
  }

  /** All sockets between this process and a member's are reset. */
  resetLink(to: number): void {
    this.#endpoint?.reset(to)
  }

  /** Sends one write; its text is unique in the simulation. */
  write(database: string, text: string): void {
    const engine = this.#engine
    if (engine === null || !this.isReady || this.#pending.size >= PENDING_MAX) return
    const sequence = (this.#sequences.get(database) ?? 0) + 1
    this.#sequences.set(database, sequence)
    this.#pending.set(`${database}/${sequence}`, text)
    const encoder = new WriteEncoder()
    encoder.add({ statements: [{ sql: text, args: [] }] })
    const bytes = encoder.finish({ origin: this.#origin, database, sequence })
    engine.receive({ kind: 'write', database, sequence, bytes })
  }

  /** Asks for a read; `done` gets the index that the answer would be read at. */
  read(level: 'weak' | 'strong', done: (index: number) => void): void {
    if (this.#engine === null || !this.isReady) return
    const id = this.#nextRead
    this.#nextRead += 1
    this.#reads.set(id, { level, done })
    this.#engine.receive({ kind: 'read', id, level })
  }

  #createConfig(genesis: EngineConfig['genesis']): EngineConfig {
    const { nodeId, address, joins, skipsSync } = this.options
    // A short log is cut often, and notices by the gap what it lost.
    const segmentBytes = (skipsSync ? 256 : 8) * 1024
    return {
      nodeId,
      memberId: this.memberId,
      clusterId: this.#clusterId,
      incarnation: this.#incarnation,
      origin: this.#origin,
      isEstablished: this.#isEstablished,
      genesis,
      dataDir: '',
      bind: { host: 'simulated', port: 1 },
      advertise: address,
      joinAddresses: joins === null ? [] : [joins],
      joinAs: 'voter',
      joinTimeoutMs: 600_000,
      secrets: [],
      heartbeatMs: 100,
      electionTimeoutMs: 1_000,
      requestTimeoutMs: 10_000,
      transactionIdleMs: 5_000,
      transactionMs: 10_000,
      maxClockSkewMs: 5_000,
      logRetainBytes: segmentBytes,
      fingerprint: 'simulated',
      segmentBytes,
      snapshotBytesPerSecond: 40 * 1024 * 1024,
      isDebugging: false,
    }
  }

  #createPorts(): EnginePorts {
    const { network, random, watcher, skipsSync } = this.options
    const { shared } = this
    const origin = this.#origin
    const life = this.#life
    const plan = (delayMs: number, run: () => void): (() => void) =>
      network.timeline.plan(delayMs, () => {
        if (life === this.#life) this.#run(run)
      })
    return {
      clock: {
        nowMs: () => network.timeline.nowMs * this.clockRate,
        wallMs: () => WALL_ZERO_MS + network.timeline.nowMs + this.wallAheadMs,
        setTimer: (delayMs, fire) => plan(delayMs / this.clockRate, fire),
      },
      random: random.stream(`engine/${life}`),
      disk: skipsSync ? skipSync(this.disk) : this.disk,
      shared,
      defer: (turn) => plan(0, turn),
      toUser: (message) => {
        if (life === this.#life) this.#receive(message)
      },
      openApplier: (generation, storageGenesis, handlers) => {
        this.#applier = new SimulatedApplier(
          {
            store: this.#store,
            dataDir: '',
            memberId: this.memberId,
            ownOrigin: origin,
            shared,
            random: random.stream(`applier/${life}`),
            plan,
            saw: (entry) => watcher.applied(this, entry),
            answered: (database, sequence, index) => this.#answered(database, sequence, index),
            installed: (_index, sequences) => this.#resultsLost(sequences),
          },
          generation,
          storageGenesis,
          handlers,
        )
        return this.#applier
      },
      openNetwork: (options, handlers, done) => {
        plan(0, () => {
          const { generations } = this.#store
          const sent = (kind: number, body: Uint8Array): void => this.#sent(kind, body)
          const heard = this.#watch(handlers)
          this.#endpoint = new Endpoint(network, options, heard, generations, sent)
          done(null, this.#endpoint)
        })
      },
    }
  }

  /** One event of this machine. What it throws ends its process, and no other. */
  #run(event: () => void): void {
    try {
      event()
    } catch (error) {
      this.#end(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    if (this.isBroken) this.crash(false)
    this.options.watcher.stepped(this)
  }

  /** The process itself ends with the event that it is in. */
  #end(message: string): void {
    this.isBroken = true
    this.options.watcher.alarmed(this, message)
  }

  #watch(handlers: TransportHandlers): TransportHandlers {
    return {
      ...handlers,
      frame: (...frame) => this.#run(() => handlers.frame(...frame)),
      connected: (...peer) => this.#run(() => handlers.connected(...peer)),
      disconnected: (...peer) => this.#run(() => handlers.disconnected(...peer)),
      call: (...call) => this.#run(() => handlers.call(...call)),
      snapshotOffered: (...offer) => this.#run(() => handlers.snapshotOffered(...offer)),
      snapshotReceived: (...end) => this.#run(() => handlers.snapshotReceived(...end)),
    }
  }

  #sent(kind: number, body: Uint8Array): void {
    const message = kind === FRAMES.raft ? decodeMessage(body) : null
    if (message !== null) this.options.watcher.sent(this, message)
  }

  #forget(): void {
    for (const path of this.disk.paths) this.disk.remove(path, () => {})
    this.#store.generations.clear()
    this.#store.history.clear()
  }

  #receive(message: EngineToUser): void {
    switch (message.kind) {
      case 'clusterFound':
        this.#clusterId = message.clusterId
        this.#engine?.receive({ kind: 'clusterKept' })
        break
      case 'established':
        this.#isEstablished = true
        break
      case 'ready':
        this.isReady = true
        break
      case 'readAnswer': {
        const read = this.#reads.get(message.id)
        this.#reads.delete(message.id)
        if (message.error === null) read?.done(message.index)
        break
      }
      case 'rejected':
        for (let sequence = message.from; sequence <= message.to; sequence += 1) {
          const text = this.#take(message.database, sequence)
          if (text !== undefined) this.options.watcher.rejected(text)
        }
        break
      case 'warning':
        // No disk here forgets what it synced: nobody may be taken for one that did.
        if (message.code === 'ERR_DATA_DIR') this.options.watcher.alarmed(this, message.message)
        break
      case 'divergence':
        this.options.watcher.alarmed(this, message.divergence.reason)
        break
      case 'openFailed':
      case 'fatal':
        this.#end(`it can't go on: ${message.error.code}: ${message.error.message}`)
        break
      default:
        break
    }
  }

  #answered(database: string, sequence: number, index: number): void {
    const text = this.#take(database, sequence)
    if (text !== undefined) this.options.watcher.acknowledged(text, index)
  }

  #resultsLost(sequences: ReadonlyMap<string, number>): void {
    this.options.watcher.installed(this)
    for (const key of this.#pending.keys()) {
      const at = key.lastIndexOf('/')
      if (Number(key.slice(at + 1)) <= (sequences.get(key.slice(0, at)) ?? 0)) {
        this.#pending.delete(key)
      }
    }
  }

  #take(database: string, sequence: number): string | undefined {
    const key = `${database}/${sequence}`
    const text = this.#pending.get(key)
    this.#pending.delete(key)
    return text
  }
}

/** A disk whose synced writes are answered before they are durable. */
function skipSync(disk: SimulatedDisk): Disk {
  return {
    open: (path, mode, done) =>
      disk.open(path, mode, (error, file) => {
        if (error !== null) done(error, file)
        else
          done(null, {
            ...file,
            write: (bytes, at, _, written) => file.write(bytes, at, { sync: false }, written),
          })
      }),
    list: (path, done) => disk.list(path, done),
    rename: (from, to, done) => disk.rename(from, to, done),
    remove: (path, done) => disk.remove(path, done),
    syncDirectory: (path, done) => disk.syncDirectory(path, done),
    makeDirectory: (path, done) => disk.makeDirectory(path, done),
  }
}
