import { SharedState } from '../../src/base/shared-state.ts'
import {
  Engine,
  type EngineConfig,
  type EnginePorts,
  type EngineRequest,
  type EngineToUser,
} from '../../src/engine/engine.ts'
import type { Durability } from '../../src/engine/protocol.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from '../../src/engine/wire.ts'
import type { Disk } from '../../src/log/log.ts'
import type { Entry, Message } from '../../src/raft/types.ts'
import { decodeMessage, type TransportHandlers } from '../../src/transport/transport.ts'
import type { ConsensusNode, RunningNode } from './consensus.ts'
import { DurableLog } from './durable-log.ts'
import type { KeptIdentity } from './identity.ts'
import { LogDisk } from './log-disk.ts'
import { MachineClock } from './machine-clock.ts'
import { Endpoint, type SimulatedNetwork } from './network.ts'
import type { SeededRandom } from './random.ts'
import { SqliteMachine } from './sqlite-machine.ts'
import type { SqliteStorage } from './sqlite-storage.ts'
import type { WrittenRow } from './storage.ts'
import { SimulatedUser } from './user.ts'

/** What a process tells those who watch the simulation. */
export interface ProcessWatcher {
  /** Any event of this process was handled. */
  stepped(process: SimulatedProcess): void
  /** A message of consensus is on its way to another member. */
  sent(process: SimulatedProcess, message: Message): void
  applied(process: SimulatedProcess, entry: Entry): void
  /** A snapshot took the place of what the process had. */
  installed(process: SimulatedProcess): void
  /** The product itself found that something is wrong here. */
  alarmed(process: SimulatedProcess, message: string): void
}

/** How its operator opens a node; may be another way each time. */
export interface ProcessSettings {
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  readonly segmentBytes: number
  readonly logRetainBytes: number
  readonly durability: Durability
}

export interface ProcessOptions {
  readonly network: SimulatedNetwork
  readonly random: SeededRandom
  readonly watcher: ProcessWatcher
  readonly nodeId: string
  readonly address: string
  readonly identity: KeptIdentity
  /** Where it asks to be taken in; none for the one that founds the cluster. */
  readonly joins: readonly string[]
  readonly settings: ProcessSettings
  /**
   * Lies about syncs: acknowledgements leave before what they speak of is durable, and a power loss
   * takes all of it. What survives of such a log tends to give the lie away.
   */
  readonly skipsSync: boolean
  /** Whether it may end now: others do without what it would forget. */
  readonly mayStop: (process: SimulatedProcess) => boolean
  /** Whether its databases may fail now. */
  readonly hasTrouble: () => boolean
  /** Whether strong reads go by leases, and how members keep what these rest on; null: not. */
  readonly leases: LeaseMode | null
  readonly fate: ProcessFate
}

/** How processes end by themselves: what they do about it is up to whoever runs them. */
export interface ProcessFate {
  /** It ended of what went wrong on its machine. */
  died(process: SimulatedProcess): void
  /** It closed as it was asked to. */
  closed(process: SimulatedProcess): void
  /** What is on its disk is of no use any more: it is removed, or damaged. */
  isOver(process: SimulatedProcess): void
  /** It goes on as another member, which has nothing yet. */
  replaced(process: SimulatedProcess, memberId: number, addresses: readonly string[]): void
}

/**
 * `kept`: as it should be. `unkept`: a member promises its vote, and gives it to others as ever.
 * `forgotten`: one that starts again knows of no promise. `drifting`: clocks differ by more than
 * they may.
 */
export type LeaseMode = 'kept' | 'unkept' | 'forgotten' | 'drifting'

/** What of a machine stands still: its engine alone, its process, or all but its calendar. */
export type HoldKind = 'stall' | 'stop' | 'sleep'

/** One simulated machine: what is on its disk survives its processes. */
export class SimulatedProcess implements ConsensusNode {
  readonly options: ProcessOptions
  readonly identity: KeptIdentity
  readonly disk: LogDisk
  durable: DurableLog
  /** What the log has in the system, durable or not. */
  readonly #written: DurableLog
  /** Its present process, or the last one, acknowledges before its disk has it. */
  isRelaxed = false
  readonly clock: MachineClock
  settings: ProcessSettings
  readonly #machine: SqliteMachine
  #life = 0
  #engine: Engine | null = null
  #endpoint: Endpoint | null = null
  #storage: SqliteStorage | null = null
  #user: SimulatedUser | null = null
  isUp = false
  isReady = false
  #isClosing = false
  #isClosed = false
  #isEnding = false
  /** It said that it can't go on, and nothing that was done to it explains that. */
  isBroken = false
  /** Nobody starts it again: another member may have come in its place. */
  isOver = false
  /** Its operator, or what its disk did, may make an end of it. */
  mayBeRemoved = false
  isRotten = false
  /** While it is down its disk rots, and it learns of that when it starts. */
  rotsWith: SeededRandom | null = null
  /** What happens while it stands still comes when it goes on. */
  #held: { readonly kind: HoldKind; readonly events: (() => void)[] } | null = null
  shared: SharedState = new SharedState()

  constructor(options: ProcessOptions) {
    this.options = options
    this.settings = options.settings
    this.identity = options.identity
    const { random, network } = options
    const rate = 0.95 + random.below(100) / 1_000
    const drifted = random.stream('drift').pick([0.4, 1, 2.5])
    this.clock = new MachineClock(network.timeline, options.leases === 'drifting' ? drifted : rate)
    this.disk = new LogDisk({
      timeline: network.timeline,
      random: random.stream('disk'),
      mayFail: () => options.mayStop(this),
      complete: (finish) => this.#run(finish),
    })
    this.durable = new DurableLog(this.disk, 'log')
    this.#written = new DurableLog(this.disk, 'log', 'seen')
    this.#machine = new SqliteMachine({
      random: random.stream('files'),
      isTormented: () => options.hasTrouble() && options.mayStop(this),
      killed: () => this.#die(),
    })
  }

  get name(): string {
    return this.options.nodeId
  }

  get memberId(): number {
    return this.identity.memberId
  }

  get held(): DurableLog {
    return this.isRelaxed ? this.#written : this.durable
  }

  get running(): RunningNode | null {
    const parts = this.#engine?.running ?? null
    return parts === null ? null : { raft: parts.core.raft, log: parts.log }
  }

  get isHeld(): boolean {
    return this.#held !== null
  }

  /** Its own databases answer. */
  rows(): readonly WrittenRow[] {
    return this.#storage?.rows() ?? []
  }

  dispose(): void {
    this.#machine.dispose()
  }

  start(): void {
    if (this.isUp || this.isBroken || this.isOver) return
    this.isUp = true
    this.isReady = false
    this.#isClosing = false
    this.#isClosed = false
    this.#life += 1
    this.shared = new SharedState()
    this.disk.begin()
    this.#rot()
    this.identity.open(this.settings.durability)
    // After an unclean stop it is held to what it had said, and says nothing more.
    if (this.identity.uncleanStop === null) this.isRelaxed = this.settings.durability === 'relaxed'
    const { random } = this.options
    const origin = Buffer.from(random.bytes(16)).toString('hex')
    this.#user = new SimulatedUser({
      origin,
      toEngine: (message) => this.#engine?.receive(message),
      electionTimeoutMs: this.settings.electionTimeoutMs,
      clock: this.clock,
      shared: this.shared,
    })
    this.#engine = new Engine(this.#createConfig(origin), this.#createPorts(origin))
    this.#engine.start()
  }

  /** What was durable was so: nobody is held to less for what a bit that flips makes of it. */
  #rot(): void {
    const random = this.rotsWith
    this.rotsWith = null
    const place = random === null ? null : this.durable.rottable(random)
    if (random === null || place === null) return
    this.durable.freeze()
    this.isRotten = true
    this.disk.flipBit(place.path, random.between(place.from, place.to - 1), random.below(8))
  }

  /** `kill -9` keeps what was written; a power loss keeps only what was synced, and some more. */
  crash(losesPower: boolean): void {
    if (!this.isUp) return
    if (this.isRelaxed && !this.#isClosed) this.#written.freeze()
    this.isUp = false
    this.isReady = false
    this.#isEnding = false
    this.#life += 1
    this.#held = null
    this.#endpoint?.vanish(losesPower)
    this.#endpoint = null
    this.#engine = null
    this.#storage = null
    this.#user = null
    const { skipsSync } = this.options
    if (losesPower) this.disk.crash(skipsSync ? { kept: 0, garbage: 0 } : undefined)
    else this.disk.kill()
    this.#machine.crash(losesPower, skipsSync)
  }

  /** Its operator ends it in an orderly way. */
  close(): void {
    if (!this.isReady || this.#isClosing) return
    this.#isClosing = true
    this.#run(() => this.#engine?.receive({ kind: 'close' }))
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

  /** What an operator asks for; nobody here waits for the answer. */
  request(request: EngineRequest): void {
    if (this.isReady) this.#run(() => this.#engine?.receive({ kind: 'request', id: 0, request }))
  }

  /** Its user's thread, where that can run. */
  get #present(): SimulatedUser | null {
    return this.isReady && this.#held === null ? this.#user : null
  }

  /** False if it takes no more. */
  write(...call: Parameters<SimulatedUser['write']>): boolean {
    return this.#present?.write(...call) ?? false
  }

  transact(...call: Parameters<SimulatedUser['transact']>): void {
    this.#present?.transact(...call)
  }

  /** Asks for a read; `done` gets the index that the answer would be read at. */
  read(level: 'weak' | 'strong', done: (index: number) => void): void {
    this.#present?.read(level, done)
  }

  /** A strong read, and what it saw in the database. False if nobody takes it. */
  readValue(
    database: string,
    { sql, args }: { readonly sql: string; readonly args: readonly string[] },
    done: (value: unknown) => void,
  ): boolean {
    const life = this.#life
    const { timeline } = this.options.network
    const user = this.#present
    user?.read('strong', (index) => {
      const look = (): void => {
        if (life !== this.#life) return
        if (this.shared.applied() < index) timeline.plan(2, () => this.#run(look))
        else done(this.#storage?.look(database, sql, args))
      }
      look()
    })
    return user !== null
  }

  /**
   * A strong read as the user thread runs it: by the lease while there is one, and of its own,
   * however the engine is. `done` is told the index, and whether it went by a lease.
   */
  readByLease(done: (index: number, isByLease: boolean) => void): void {
    const leadership = this.isReady ? this.#user?.leadership() : undefined
    if (leadership === undefined) return
    const life = this.#life
    const { network, random } = this.options
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

  #createConfig(origin: string): EngineConfig {
    const { nodeId, address, joins, leases } = this.options
    const { clusterId, memberId, incarnation, isEstablished, uncleanStop, rejoinAddresses } =
      this.identity
    const { electionTimeoutMs } = this.settings
    return {
      ...this.settings,
      nodeId,
      memberId,
      clusterId,
      incarnation,
      origin,
      isEstablished,
      genesis: joins.length + rejoinAddresses.length === 0 ? 'bootstrap' : 'join',
      dataDir: '',
      bind: { host: 'simulated', port: 1 },
      advertise: address,
      joinAddresses: [...joins, ...rejoinAddresses],
      hasJoinSource: false,
      forming: null,
      rejoins: false,
      joinAs: 'voter',
      joinTimeoutMs: 600_000,
      security: { kind: 'plaintext' },
      promiseMs: leases === null ? 0 : electionTimeoutMs,
      keptPromiseMs: leases === null || leases === 'forgotten' ? 0 : electionTimeoutMs,
      requestTimeoutMs: 10_000,
      transactionIdleMs: 5_000,
      transactionMs: 10_000,
      maxClockSkewMs: 5_000,
      uncleanStop,
      fingerprint: 'simulated',
      snapshotBytesPerSecond: 40 * 1024 * 1024,
      isDebugging: false,
    }
  }

  #createPorts(origin: string): EnginePorts {
    const { network, random, watcher, skipsSync } = this.options
    const { shared } = this
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
            answered: (answer) => this.#user?.answered(answer),
            installed: (_index, sequences) => {
              watcher.installed(this)
              this.#user?.resultsLost(sequences)
            },
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
    if (this.#isEnding) this.#die()
    this.options.watcher.stepped(this)
  }

  /** What rotted was of no use any more, and is gone. */
  #heal(): void {
    if (!this.isRotten) return
    this.isRotten = false
    this.durable = new DurableLog(this.disk, 'log')
  }

  /** The process ends with the event that it is in. */
  #end(message: string, code: string | null = null): void {
    this.#isEnding = true
    if (code === 'ERR_REMOVED' && this.mayBeRemoved) this.isOver = true
    else if (this.isRotten && code === 'ERR_LOG_CORRUPT') this.isOver = true
    else if (!this.disk.isExcuse) {
      this.isBroken = true
      this.options.watcher.alarmed(this, message)
    }
  }

  #die(): void {
    this.crash(false)
    const { fate } = this.options
    if (this.isOver) fate.isOver(this)
    else if (!this.isBroken) fate.died(this)
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
    const promise = encodeNumbers(round, term, this.settings.electionTimeoutMs)
    this.#endpoint?.send(from, lane, FRAMES.promise, [promise])
  }

  #sent(kind: number, body: Uint8Array): void {
    const message = kind === FRAMES.raft ? decodeMessage(body) : null
    if (message !== null) this.options.watcher.sent(this, message)
  }

  #receive(message: EngineToUser): void {
    this.#user?.heard(message)
    const { watcher, fate } = this.options
    switch (message.kind) {
      case 'clusterFound':
        this.identity.clusterId = message.clusterId
        this.#engine?.receive({ kind: 'clusterKept' })
        break
      case 'established':
        this.identity.isEstablished = true
        break
      case 'replaced':
        this.isOver = true
        this.crash(false)
        fate.replaced(this, message.memberId, message.addresses)
        break
      case 'lossKept':
        this.identity.lossKept(this.settings.durability)
        break
      case 'ready':
        this.isReady = true
        this.#heal()
        this.identity.rejoinAddresses = []
        break
      case 'closed':
        if (!this.#isClosing) break
        if (message.isDurable) {
          this.#isClosed = true
          this.identity.closedWell()
        }
        this.crash(false)
        fate.closed(this)
        break
      case 'warning':
        // No disk here forgets what it synced: nobody may be taken for one that did.
        if (message.code === 'ERR_DATA_DIR') watcher.alarmed(this, message.message)
        break
      case 'divergence':
        watcher.alarmed(this, message.divergence.reason)
        break
      case 'openFailed':
      case 'fatal': {
        const { code, message: text } = message.error
        this.#end(`it can't go on: ${code}: ${text}`, code)
        break
      }
      default:
        break
    }
  }
}

/** A disk whose synced writes are answered before they are durable. */
function skipSync(disk: LogDisk): Disk {
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
