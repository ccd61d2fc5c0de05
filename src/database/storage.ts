import { join } from 'node:path'
import type { Cancel } from '../base/ports.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Entry } from '../raft/types.ts'
import { ApplyCounts } from './apply-metrics.ts'
import type { Hold } from './generation.ts'
import { HookMessages } from './hook-messages.ts'
import { hashKeyOf, nextGroup } from './next-group.ts'
import { asHalted, type GroupOutcome, type Halted, type OwnResult } from './outcome.ts'
import { Received } from './received.ts'
import { Replica } from './replica.ts'
import { appliedReport, nothingNew, replicaState } from './replica-state.ts'
import { Standstill } from './standstill.ts'
import { StatementWatch } from './statement-watch.ts'
import type { ContentHasher, SnapshotMaker, StoragePorts } from './storage-ports.ts'
import {
  type AppliedReport,
  decodeEntries,
  type EngineToStorage,
  encodeResults,
  type ReplicaState,
  type StorageSettings,
  type StorageToEngine,
  type StorageToUser,
  type UserToStorage,
} from './storage-protocol.ts'
import { asFailure, type Quarantine } from './trouble.ts'
import { type Request, WaitingRequests } from './waiting-requests.ts'
import { largeWalMessage, restMsAt, WAL_BOUNDS, type WalBounds } from './wal-bounds.ts'

const BUSY_PAUSE_MS = 5
const TROUBLE_PAUSE_MS = 1000

/**
 * Runs a {@link Replica} for the engine: takes in entries, tells what came of them, and tries again
 * what this machine could not do. What it applied is published in shared memory before any message
 * that speaks of it leaves. An exception that is a bug of ours is not caught: it ends the thread.
 */
export class Storage {
  readonly #data: StorageSettings
  readonly #ports: StoragePorts
  readonly #shared: SharedState
  readonly #replica: Replica
  readonly #copies: SnapshotMaker
  readonly #hashes: ContentHasher
  readonly #statements: StatementWatch
  readonly #hooks: HookMessages
  readonly #walBounds: WalBounds
  readonly #counts = new ApplyCounts()
  #entries: Entry[] = []
  readonly #received = new Received()
  readonly #requests = new WaitingRequests()
  #databasesEpoch = 1
  /** What a snapshot brought, in this process. */
  #installed = 0
  readonly #standstill = new Standstill()
  /** Until it fires nothing is applied. */
  #rests: Cancel | null = null
  /** Of the largest WAL that can't start anew. */
  #walBytes = 0
  #isSlow = false
  #isTurnPlanned = false
  #origin: string
  #isClosed = false

  constructor(data: StorageSettings, ports: StoragePorts) {
    this.#data = data
    this.#ports = ports
    this.#shared = ports.shared
    this.#walBounds = data.walBounds ?? WAL_BOUNDS
    const { dataDir, generation, ownOrigin, writer, genesis, changesBytesMax } = data
    const running = this.#shared.setRunning.bind(this.#shared)
    this.#statements = new StatementWatch(data.slowMs, () => ports.clock.nowMs(), running)
    const tell = this.#tellUser.bind(this)
    this.#hooks = new HookMessages({ shared: this.#shared, changesBytesMax, tell })
    const told = { watch: this.#statements, hooks: this.#hooks.hooks, openWriter: ports.openWriter }
    const options = { directory: join(dataDir, 'db'), generation, ownOrigin, writer, ...told }
    this.#replica = genesis ? Replica.create(options, genesis) : Replica.open(options)
    this.#copies = ports.createCopies(() => this.#replica.pinSnapshot())
    this.#hashes = ports.createHashes({
      pinned: () => this.#wake(),
      hashed: (hashed) => this.#tellEngine({ kind: 'hashed', hashed }),
    })
    this.#origin = this.#replica.originOf(data.memberId)
    this.#publish()
    this.#tellEngine({ kind: 'opened', state: replicaState(this.#replica, data.memberId) })
    this.watch()
  }

  /** Looks for foreign writes also while nothing is applied: reads must not serve them. */
  watch(): void {
    if (this.#isClosed || this.#rests !== null) return
    const halted = this.#replica.findDivergence()
    if (halted !== null) this.#pause(halted)
  }

  /** What waited together shares a turn. */
  receive(messages: readonly EngineToStorage[]): void {
    for (const message of messages) {
      if (message.kind === 'apply') this.#take(message.entries, message.committedMs)
      else this.#requests.add(message, this.#lastReceived())
    }
    this.#wake()
  }

  #take(bytes: Uint8Array, committedMs: number): void {
    const entries = decodeEntries(bytes)
    for (const entry of entries) if (entry.index > this.#installed) this.#entries.push(entry)
    this.#received.add(this.#lastReceived(), bytes, committedMs)
    // A copy that took the place of differing files may be ahead of what was handed over.
    if ((entries[0]?.index ?? 0) > this.#installed) return
    this.#tellApplied(nothingNew(this.#replica))
  }

  #lastReceived(): number {
    return this.#entries.at(-1)?.index ?? this.#replica.appliedIndex
  }

  #diverge(reason: string): void {
    this.#replica.divergence.note(this.#replica.appliedIndex, reason)
    const halted = this.#replica.findDivergence()
    if (halted !== null) this.#pause(halted)
  }

  /** One group or one request, then the event loop: copies and messages must go on as well. */
  #turn(): void {
    this.#isTurnPlanned = false
    if (this.#isClosed) return
    const isResting = this.#rests !== null || this.#hashes.isPinning
    const { first } = this.#requests
    // While apply stands still, what does not depend on it must not wait behind it.
    if (first !== undefined && (isResting || first.after <= this.#replica.appliedIndex)) {
      this.#requests.shift()
      this.#serve(first.request)
    } else if (!isResting && this.#entries.length > 0) {
      // They stay in the queue until they are applied.
      this.#apply(
        nextGroup(this.#standstill.split(this.#entries), first?.after ?? Number.POSITIVE_INFINITY),
      )
    } else if (!isResting && this.#walBytes > this.#walBounds.bytesMax) {
      // Nothing is left to apply, but open reads end as long as this is said to be out of bounds.
      this.#checkpoint()
    } else {
      return
    }
    this.#isTurnPlanned = true
    this.#ports.defer(() => this.#turn())
  }

  #apply(entries: readonly Entry[]): void {
    const outcome = this.#counts.measure(entries.length, () =>
      this.#shared.whileCommitting(() => this.#replica.apply(entries)),
    )
    const slow = this.#statements.take()
    if (slow.length > 0) this.#tellUser({ kind: 'slow', writes: slow })
    if (outcome.halted !== null) {
      this.#hooks.flush()
      this.#pause(outcome.halted, entries)
      return
    }
    this.#entries = this.#entries.slice(entries.length)
    if (outcome.databasesChanged) this.#databasesEpoch += 1
    this.#resume()
    this.#publish()
    this.#tell(outcome)
    this.#hooks.flush()
    // With its message's last entry go the bytes of all of them.
    const key = hashKeyOf(entries.at(-1))
    this.#received.releaseUpTo(this.#replica.appliedIndex)
    this.#checkpoint()
    if (key !== null) this.#hashes.begin(key, this.#replica.hashSource())
  }

  #tell(outcome: GroupOutcome): void {
    if (outcome.results.length > 0) this.#tellResults(outcome.results)
    if (outcome.drops.length > 0) this.#tellUser({ kind: 'drops', drops: outcome.drops })
    const { endedLeases: names } = outcome
    if (names.length > 0) this.#tellUser({ kind: 'endedLeases', names })
    this.#tellWaiting()
    const origin = this.#replica.originOf(this.#data.memberId)
    const isNewOrigin = origin !== this.#origin
    this.#origin = origin
    this.#tellApplied(appliedReport(this.#replica, outcome, isNewOrigin ? origin : null))
  }

  #tellApplied(report: AppliedReport): void {
    this.#tellEngine({ kind: 'applied', report })
  }

  #tellResults(results: readonly OwnResult[]): void {
    const appliedMs = this.#ports.clock.nowMs()
    const timed = results.map(({ index, bytes }) => {
      return { bytes, committedMs: this.#received.committedMs(index), appliedMs }
    })
    const bytes = encodeResults(timed)
    this.#tellUser({ kind: 'results', bytes }, [bytes.buffer])
  }

  #tellWaiting(): void {
    const index = this.#replica.appliedIndex
    if (this.#shared.waitedIndex() <= index) this.#tellUser({ kind: 'applied', index })
  }

  /** A WAL out of bounds is local trouble: this node slows down, and the cluster has others. */
  #checkpoint(): void {
    const walBytes = this.#replica.checkpoint(this.#walBounds)
    if (walBytes !== this.#walBytes) {
      this.#walBytes = walBytes
      this.#publish()
    }
    const wasSlow = this.#isSlow
    const restMs = restMsAt(walBytes, this.#walBounds)
    if (restMs > 0) this.#rest(restMs)
    // A WAL that may start anew does so with the next commit, unless others came to read it.
    this.#isSlow = restMs > 0 || (wasSlow && this.#replica.walBytes > this.#walBounds.bytesMax)
    if (wasSlow || !this.#isSlow) return
    this.#tellUser({ kind: 'warning', code: 'ERR_LARGE_WAL', message: largeWalMessage(walBytes) })
  }

  #rest(delayMs: number): void {
    this.#rests = this.#ports.clock.setTimer(delayMs, () => {
      this.#rests = null
      this.#wake()
    })
  }

  #stopResting(): void {
    this.#rests?.()
    this.#rests = null
  }

  #wake(): void {
    if (!this.#isTurnPlanned) this.#turn()
  }

  /** Stands still for a while; a lock is held for a moment at most, and is no news to anyone. */
  #pause(halted: Halted, entries: readonly Entry[] = []): void {
    const pauseMs = this.#data.retryPauseMs ?? TROUBLE_PAUSE_MS
    const delayMs = halted.retry === 'busy' ? Math.min(BUSY_PAUSE_MS, pauseMs) : pauseMs
    this.#rest(delayMs)
    if (halted.retry === 'busy') return
    if (this.#standstill.failed(halted, entries)) this.#tellHalted()
  }

  #resume(): void {
    if (this.#standstill.resumed()) this.#tellHalted()
  }

  #tellHalted(): void {
    this.#publish()
    const { halted } = this.#standstill
    const reason = halted?.error.message ?? null
    this.#tellUser({ kind: 'halted', reason })
    const quarantine = halted?.quarantine ?? null
    const { isNoted: isDivergent } = this.#replica.divergence
    this.#tellEngine({ kind: 'halted', reason, isDivergent, quarantine })
  }

  #serve(request: Request): void {
    switch (request.kind) {
      case 'copySnapshot':
        this.#copies.make(request.directory, (answer) => {
          this.#tellEngine({ kind: 'reply', id: request.id, ...answer })
        })
        break
      case 'removeSnapshot':
        this.#copies.remove(request.directory)
        break
      case 'install':
        this.#answer(request.id, () => this.#install(request.generation, request.index))
        break
      case 'deleteOtherGenerations':
        this.#replica.deleteOtherGenerations()
        break
      case 'tryStatements':
        this.#answer(request.id, () => this.#replica.tryStatements(request))
        break
      case 'endTrial':
        this.#replica.trials.end(request.database, request.key)
        break
      case 'makeDurable':
        this.#answer(request.id, () => this.#replica.makeDurable())
        break
      case 'digests':
        this.#answer(request.id, () => this.#replica.digestsAt(request.index))
        break
      case 'diverge':
        this.#diverge(request.reason)
        break
      case 'void':
        this.#replica.note.void(request.index)
        this.#stopResting()
        break
      case 'hold':
        this.#answer(request.id, () => this.#hold(request.hold))
        break
      case 'release':
        this.#replica.note.release(request.hold)
        this.#stopResting()
        break
      case 'expectHash':
        this.#hashes.expect(request.key)
        break
      case 'close':
        this.close(request.id)
    }
  }

  /** Answers a request; what is no ordinary failure ends the thread, a failed sync above all. */
  #answer(id: number, work: () => unknown): void {
    let value: unknown
    try {
      value = work()
    } catch (error) {
      const failure = asFailure(error)
      if (failure === null) throw error
      this.#tellEngine({ kind: 'reply', id, error: failure, value: null })
      return
    }
    this.#tellEngine({ kind: 'reply', id, error: null, value })
  }

  /** Nothing but a word of the leader's gets apply going again, where it stands at that entry. */
  #hold(hold: Hold): Quarantine | null {
    const { note } = this.#replica
    if (this.#standstill.at === hold.index || note.quarantine?.index === hold.index) {
      note.hold(hold)
      this.#stopResting()
      if (note.trouble !== null) this.#pause(asHalted(note.trouble))
    }
    return note.quarantine
  }

  #install(generation: number, index: number): ReplicaState {
    this.#hashes.close()
    this.#replica.installGeneration(generation, { index })
    this.#installed = index
    this.#entries = this.#entries.filter((entry) => entry.index > index)
    this.#received.releaseUpTo(this.#replica.appliedIndex)
    this.#stopResting()
    this.#databasesEpoch += 1
    this.#walBytes = 0
    this.#isSlow = false
    this.#resume()
    this.#publish()
    this.#tellUser({ kind: 'installed', index, sequences: this.#replica.ownSequences() })
    this.#tellWaiting()
    this.#hooks.replaced()
    const state = replicaState(this.#replica, this.#data.memberId)
    this.#origin = state.origin
    return state
  }

  answerUser(message: UserToStorage): void {
    if (message.kind !== 'status') {
      this.#hooks.heard(message)
      return
    }
    const databases = this.#isClosed ? [] : this.#replica.databases()
    const clockMs = this.#isClosed ? 0 : this.#replica.clockMs
    const status = { databases, clockMs, apply: this.#counts.value() }
    this.#tellUser({ kind: 'status', id: message.id, status })
  }

  #publish(): void {
    this.#shared.publishStorage({
      applied: this.#replica.appliedIndex,
      generation: this.#replica.generation,
      databasesEpoch: this.#databasesEpoch,
      isDivergent: this.#replica.divergence.isNoted,
      walBytes: this.#walBytes,
    })
  }

  #tellEngine(message: StorageToEngine): void {
    this.#ports.tellEngine(message)
  }

  #tellUser(message: StorageToUser, transfer: readonly ArrayBuffer[] = []): void {
    this.#ports.tellUser(message, transfer)
  }

  /** Copies under way end first. */
  close(id: number | null = null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#rests?.()
    this.#copies.close()
    this.#hashes.close()
    this.#replica.close()
    if (id !== null) this.#tellEngine({ kind: 'reply', id, error: null, value: null })
    this.#ports.closed()
  }
}
