import { SharedState } from '../../src/base/shared-state.ts'
import { type Statement, WriteEncoder } from '../../src/command/command.ts'
import {
  Engine,
  type EngineConfig,
  type EnginePorts,
  type EngineToUser,
} from '../../src/engine/engine.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from '../../src/engine/wire.ts'
import type { Disk } from '../../src/log/log.ts'
import { OwnLeadership } from '../../src/node/own-leadership.ts'
import type { Entry, Message } from '../../src/raft/types.ts'
import { decodeMessage, type TransportHandlers } from '../../src/transport/transport.ts'
import { ModelMachine } from './applier.ts'
import type { ConsensusNode, RunningNode } from './consensus.ts'
import { SimulatedDisk } from './disk.ts'
import { DurableLog } from './durable-log.ts'
import { MachineClock } from './machine-clock.ts'
import { Endpoint, type SimulatedNetwork } from './network.ts'
import type { SeededRandom } from './random.ts'
import { SqliteMachine } from './sqlite-machine.ts'
import type { OwnAnswer, SimulatedStorage, StorageMachine, WrittenRow } from './storage.ts'

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
  /** Databases are SQLite's, in place of a model. */
  readonly hasSqlite: boolean
  /** Whether anything may go wrong by itself now. */
  readonly isTormented: () => boolean
  /** It was killed in the midst of what it did. */
  readonly died: (process: SimulatedProcess) => void
  /** Whether strong reads go by leases, and how members keep what these rest on; null: not. */
  readonly leases: LeaseMode | null
}

/**
 * `kept`: as it should be. `unkept`: a member promises its vote, and gives it to others as ever.
 * `forgotten`: one that starts again knows of no promise. `drifting`: clocks differ by more than
 * they may.
 */
export type LeaseMode = 'kept' | 'unkept' | 'forgotten' | 'drifting'

/** What of a machine stands still: its engine alone, its process, or all but its calendar. */
export type HoldKind = 'stall' | 'stop' | 'sleep'

/** As many unanswered writes as a node lets out at once, and some more. */
const PENDING_MAX = 16

const ELECTION_TIMEOUT_MS = 1_000

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
  readonly #machine: StorageMachine
  #clusterId = ''
  #isEstablished = false
  #incarnation = 0
  #life = 0
  #engine: Engine | null = null
  #endpoint: Endpoint | null = null
  #storage: SimulatedStorage | null = null
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
  readonly clock: MachineClock
  /** What happens while it stands still comes when it goes on. */
  #held: { readonly kind: HoldKind; readonly events: (() => void)[] } | null = null
  shared: SharedState = new SharedState()

  constructor(options: ProcessOptions) {
    this.options = options
    const { random, network } = options
    this.memberId = 1 + random.below(2 ** 31)
    const rate = 0.95 + random.below(100) / 1_000
    const drifted = random.stream('drift').pick([0.4, 1, 2.5])
    this.clock = new MachineClock(network.timeline, options.leases === 'drifting' ? drifted : rate)
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
    const files = random.stream('files')
    this.#machine = options.hasSqlite
      ? new SqliteMachine({
          random: files,
          isTormented: options.isTormented,
          killed: () => {
            this.crash(false)
            options.died(this)
          },
        })
      : new ModelMachine(random)
  }

  get name(): string {
    return this.options.nodeId
  }

  get running(): RunningNode | null {
    const parts = this.#engine?.running ?? null
    return parts === null ? null : { raft: parts.core.raft, log: parts.log }
  }

  get isHeld(): boolean {
    return this.#held !== null
  }

  rows(): readonly WrittenRow[] {
    return this.#storage?.rows() ?? []
  }

  dispose(): void {
    this.#machine.dispose()
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
    this.#held = null
    this.#endpoint?.vanish()
    this.#endpoint = null
    this.#engine = null
    this.#storage = null
    const { skipsSync } = this.options
    if (losesPower) this.disk.crash(skipsSync ? { kept: 0, garbage: 0 } : undefined)
    else this.disk.kill()
    this.#machine.crash(losesPower, skipsSync)
  }

  /** All sockets between this process and a member's are reset. */
  resetLink(to: number): void {
    this.#endpoint?.reset(to)
  }

  /** Stands still for a while, and is not killed meanwhile unless somebody else does it. */
  hold(kind: HoldKind, durationMs: number): void {
    if (!this.isUp || this.#held !== null) return
    const held = { kind, events: [] }
    this.#held = held
    this.options.network.timeline.plan(durationMs, () => {
      if (this.#held !== held) return
      this.#goOn(durationMs)
    })
  }

  #goOn(heldMs: number): void {
    if (this.#held === null) return
    const { kind, events } = this.#held
    this.#held = null
    if (kind === 'sleep') this.clock.slept(heldMs)
    const life = this.#life
    for (const event of events) if (life === this.#life) this.#run(event)
  }

  /** Asks whoever leads to hand over. */
  transferLeadership(): void {
    const request = { method: 'transferLeadership', to: null } as const
    if (this.isReady) this.#run(() => this.#engine?.receive({ kind: 'request', id: 0, request }))
  }

  /** Sends one write; its text is unique in the simulation. */
  write(database: string, text: string): void {
    const engine = this.#engine
    if (engine === null || !this.isReady || this.#held !== null) return
    if (this.#pending.size >= PENDING_MAX) return
    const sequence = (this.#sequences.get(database) ?? 0) + 1
    this.#sequences.set(database, sequence)
    this.#pending.set(`${database}/${sequence}`, text)
    const encoder = new WriteEncoder()
    const { hasSqlite } = this.options
    encoder.add({ statements: hasSqlite ? statementsOf(text) : [{ sql: text, args: [] }] })
    const bytes = encoder.finish({ origin: this.#origin, database, sequence })
    engine.receive({ kind: 'write', database, sequence, bytes })
  }

  /** Asks for a read; `done` gets the index that the answer would be read at. */
  read(level: 'weak' | 'strong', done: (index: number) => void): void {
    if (this.#engine === null || !this.isReady || this.#held !== null) return
    const id = this.#nextRead
    this.#nextRead += 1
    this.#reads.set(id, { level, done })
    this.#engine.receive({ kind: 'read', id, level })
  }

  /**
   * A strong read as the user thread runs it: by the lease while there is one, and of its own,
   * however the engine is. `done` is told the index, and whether it went by a lease.
   */
  readByLease(done: (index: number, isByLease: boolean) => void): void {
    if (!this.isReady) return
    const life = this.#life
    const { network, random } = this.options
    const leadership = new OwnLeadership({
      shared: this.shared,
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      nowMs: () => this.clock.nowMs(),
      wallMs: () => this.clock.wallMs(),
    })
    const ask = (): void => this.#run(() => this.read('strong', (index) => done(index, false)))
    const read = (): void => {
      const commit = leadership.heldCommit()
      if (commit === null) {
        ask()
        return
      }
      // A statement takes its time, and the process may be stopped in it.
      network.timeline.plan(random.below(80), () => {
        if (life === this.#life)
          this.#runUser(() => (leadership.isHeld() ? done(commit, true) : ask()))
      })
    }
    this.#runUser(read)
  }

  /** The user's thread stands still with the process, but not with its engine. */
  #runUser(event: () => void): void {
    if (this.#held !== null && this.#held.kind !== 'stall') this.#held.events.push(event)
    else event()
  }

  #createConfig(genesis: EngineConfig['genesis']): EngineConfig {
    const { nodeId, address, joins, skipsSync, leases } = this.options
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
      electionTimeoutMs: ELECTION_TIMEOUT_MS,
      promiseMs: leases === null ? 0 : ELECTION_TIMEOUT_MS,
      keptPromiseMs: leases === null || leases === 'forgotten' ? 0 : ELECTION_TIMEOUT_MS,
      requestTimeoutMs: 10_000,
      transactionIdleMs: 5_000,
      transactionMs: 10_000,
      maxClockSkewMs: 5_000,
      logRetainBytes: segmentBytes,
      durability: 'full',
      uncleanStop: null,
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
        nowMs: () => this.clock.nowMs(),
        wallMs: () => this.clock.wallMs(),
        setTimer: (delayMs, fire) => plan(delayMs / this.clock.rate, fire),
      },
      random: random.stream(`engine/${life}`),
      disk: skipsSync ? skipSync(this.disk) : this.disk,
      shared,
      defer: (turn) => plan(0, turn),
      toUser: (message) => {
        if (life === this.#life) this.#receive(message)
      },
      openApplier: (generation, storageGenesis, handlers) => {
        this.#storage = this.#machine.open(
          {
            memberId: this.memberId,
            ownOrigin: origin,
            shared,
            random: random.stream(`applier/${life}`),
            nowMs: () => this.clock.nowMs(),
            plan,
            saw: (entry) => watcher.applied(this, entry),
            answered: (answer) => this.#answered(answer),
            installed: (_index, sequences) => this.#resultsLost(sequences),
          },
          generation,
          storageGenesis,
          handlers,
        )
        return this.#storage
      },
      openNetwork: (options, handlers, done) => {
        plan(0, () => {
          const { snapshots } = this.#machine
          const sent = (kind: number, body: Uint8Array): void => this.#sent(kind, body)
          const heard = this.#watch(handlers)
          this.#endpoint = new Endpoint(network, options, heard, snapshots, sent)
          done(null, this.#endpoint)
        })
      },
    }
  }

  /** One event of this machine. What it throws ends its process, and no other. */
  #run(event: () => void): void {
    if (this.#held !== null) {
      this.#held.events.push(event)
      return
    }
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
      frame: (...frame) => this.#run(() => this.#heard(handlers, ...frame)),
      connected: (...peer) => this.#run(() => handlers.connected(...peer)),
      disconnected: (...peer) => this.#run(() => handlers.disconnected(...peer)),
      call: (...call) => this.#run(() => handlers.call(...call)),
      snapshotOffered: (...offer) => this.#run(() => handlers.snapshotOffered(...offer)),
      snapshotReceived: (...end) => this.#run(() => handlers.snapshotReceived(...end)),
    }
  }

  #heard(handlers: TransportHandlers, ...frame: Parameters<TransportHandlers['frame']>): void {
    const [from, lane, kind, body] = frame
    if (this.options.leases !== 'unkept' || kind !== FRAMES.askPromise) {
      handlers.frame(...frame)
      return
    }
    const [round, term] = decodeNumbers(body, 2) as [number, number]
    const promise = encodeNumbers(round, term, ELECTION_TIMEOUT_MS)
    this.#endpoint?.send(from, lane, FRAMES.promise, [promise])
  }

  #sent(kind: number, body: Uint8Array): void {
    const message = kind === FRAMES.raft ? decodeMessage(body) : null
    if (message !== null) this.options.watcher.sent(this, message)
  }

  #forget(): void {
    for (const path of this.disk.paths) this.disk.remove(path, () => {})
    this.#machine.forget()
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

  #answered({ database, sequence, index, error }: OwnAnswer): void {
    const text = this.#take(database, sequence)
    if (text === undefined) return
    const { watcher } = this.options
    if (error === null) watcher.acknowledged(text, index)
    else watcher.rejected(text)
    if (isRefused(text) !== (error !== null)) {
      watcher.alarmed(this, `${text} came to: ${error ?? 'no error'}`)
    }
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

/** What a write does: nothing of it may depend on the node that it runs on. */
function statementsOf(text: string): Statement[] {
  const statements: Statement[] = [
    { sql: CREATE, args: [] },
    { sql: INSERT, args: [text] },
  ]
  if (isRefused(text)) statements.push({ sql: INSERT_AGAIN, args: [text] })
  return statements
}

const CREATE =
  'CREATE TABLE IF NOT EXISTS written (id INTEGER PRIMARY KEY, text, chance, at, before)'
const INSERT =
  'INSERT INTO written (text, chance, at, before) ' +
  "VALUES (?, random(), datetime('now', 'subsec'), (SELECT max(id) FROM written))"
const INSERT_AGAIN = 'INSERT INTO written (id, text) VALUES (1, ?)'

/** Writes of these names fail in their last statement, and leave nothing. */
function isRefused(text: string): boolean {
  return text.startsWith('refused')
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
