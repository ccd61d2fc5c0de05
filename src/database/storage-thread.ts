import { join } from 'node:path'
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { release } from '../base/bytes.ts'
import { processNowMs } from '../base/process-clock.ts'
import { SharedState } from '../base/shared-state.ts'
import type { Entry } from '../raft/types.ts'
import { ApplyCounts } from './apply-metrics.ts'
import type { GroupOutcome, Halted, OwnResult } from './outcome.ts'
import { Replica } from './replica.ts'
import { SnapshotCopies } from './snapshot-copies.ts'
import { StatementWatch } from './statement-watch.ts'
import {
  decodeEntries,
  type EngineToStorage,
  encodeResults,
  type ReplicaState,
  type StorageToEngine,
  type StorageToUser,
  type StorageWorkerData,
  type UserToStorage,
} from './storage-protocol.ts'
import { answerStep } from './trials.ts'
import { asFailure } from './trouble.ts'
import { largeWalMessage, restMsAt, WAL_BOUNDS, type WalBounds } from './wal-bounds.ts'

/** How much of what waits goes into one group: it bounds how long an answer can wait for others. */
const GROUP_ENTRIES_MAX = 1024
const GROUP_BYTES_MAX = 4 * 1024 * 1024
const BUSY_PAUSE_MS = 5
const TROUBLE_PAUSE_MS = 1000
const WATCH_MS = 1000

type Request = Exclude<EngineToStorage, { readonly kind: 'apply' }>

/** The bytes of entries up to `lastIndex`, and when the engine learned that they are committed. */
interface Received {
  readonly lastIndex: number
  readonly bytes: Uint8Array
  readonly committedMs: number
}

/** A request, and the entry that must be applied before it is served. */
interface WaitingRequest {
  readonly request: Request
  readonly after: number
}

/**
 * Runs a {@link Replica} for the engine: takes in entries, tells what came of them, and tries again
 * what this machine could not do. What it applied is published in shared memory before any message
 * that speaks of it leaves. An exception that is a bug of ours is not caught: it ends the thread.
 */
class StorageThread {
  readonly #data: StorageWorkerData
  readonly #engine: MessagePort
  readonly #user: MessagePort
  readonly #shared: SharedState
  readonly #replica: Replica
  readonly #copies: SnapshotCopies
  readonly #statements: StatementWatch
  readonly #walBounds: WalBounds
  readonly #counts = new ApplyCounts()
  #entries: Entry[] = []
  /** The messages that entries are views of, the oldest first. */
  readonly #received: Received[] = []
  readonly #requests: WaitingRequest[] = []
  #databasesEpoch = 1
  /** What apply stands still for and was told, until a group applies again. */
  #halted: Halted | null = null
  /** Until it fires nothing is applied. */
  #restTimer: NodeJS.Timeout | null = null
  /** Of the largest WAL that can't start anew. */
  #walBytes = 0
  #isSlow = false
  #isTurnPlanned = false
  #origin: string
  #isClosed = false

  constructor(data: StorageWorkerData, user: MessagePort) {
    this.#data = data
    this.#engine = data.enginePort
    this.#user = user
    this.#shared = new SharedState(data.shared)
    this.#walBounds = data.walBounds ?? WAL_BOUNDS
    const { dataDir, generation, ownOrigin, writer, genesis } = data
    const running = this.#shared.setRunning.bind(this.#shared)
    this.#statements = new StatementWatch(data.slowMs, () => performance.now(), running)
    const directory = join(dataDir, 'db')
    const options = { directory, generation, ownOrigin, writer, watch: this.#statements }
    this.#replica = genesis ? Replica.create(options, genesis) : Replica.open(options)
    this.#copies = new SnapshotCopies(dataDir, () => this.#replica.pinSnapshot())
    this.#origin = this.#replica.originOf(data.memberId)
    this.#publish()
    this.#engine.on('message', (message: EngineToStorage) => this.#receive(message))
    // Without the engine nothing more is ever applied.
    this.#engine.on('close', () => this.#close())
    this.#user.on('message', (message: UserToStorage) => this.#answerUser(message))
    this.#tellEngine({ kind: 'opened', state: this.#state() })
    this.#watch()
    setInterval(() => this.#watch(), WATCH_MS).unref()
  }

  /** Looks for foreign writes also while nothing is applied: reads must not serve them. */
  #watch(): void {
    if (this.#isClosed || this.#restTimer !== null) return
    const halted = this.#replica.findDivergence()
    if (halted !== null) this.#pause(halted)
  }

  #receive(first: EngineToStorage): void {
    for (let message: EngineToStorage | undefined = first; message !== undefined; ) {
      if (message.kind === 'apply') this.#take(message.entries, message.committedMs)
      else this.#requests.push({ request: message, after: this.#lastReceived() })
      message = receiveMessageOnPort(this.#engine)?.message as EngineToStorage | undefined
    }
    if (!this.#isTurnPlanned) this.#turn()
  }

  #take(bytes: Uint8Array, committedMs: number): void {
    for (const entry of decodeEntries(bytes)) this.#entries.push(entry)
    this.#received.push({ lastIndex: this.#lastReceived(), bytes, committedMs })
  }

  /** What is applied was bound and decoded: nothing reads its bytes any more. */
  #releaseApplied(): void {
    const applied = this.#replica.appliedIndex
    for (;;) {
      const [first] = this.#received
      if (first === undefined || first.lastIndex > applied) return
      this.#received.shift()
      release(first.bytes)
    }
  }

  #lastReceived(): number {
    return this.#entries.at(-1)?.index ?? this.#replica.appliedIndex
  }

  /** One group or one request, then the event loop: copies and messages must go on as well. */
  #turn(): void {
    this.#isTurnPlanned = false
    if (this.#isClosed) return
    const isResting = this.#restTimer !== null
    const [first] = this.#requests
    // While apply stands still, what does not depend on it must not wait behind it.
    if (first !== undefined && (isResting || first.after <= this.#replica.appliedIndex)) {
      this.#requests.shift()
      this.#serve(first.request)
    } else if (!isResting && this.#entries.length > 0) {
      this.#apply(this.#group(first?.after ?? Number.POSITIVE_INFINITY))
    } else if (!isResting && this.#walBytes > this.#walBounds.bytesMax) {
      // Nothing is left to apply, but open reads end as long as this is said to be out of bounds.
      this.#checkpoint()
    } else {
      return
    }
    this.#isTurnPlanned = true
    setImmediate(() => this.#turn())
  }

  /** The entries of one group, which stay in the queue until they are applied. */
  #group(last: number): readonly Entry[] {
    let count = 0
    let sizeBytes = 0
    for (const { index, data } of this.#entries) {
      sizeBytes += data.length
      if (index > last || count === GROUP_ENTRIES_MAX) break
      if (count > 0 && sizeBytes > GROUP_BYTES_MAX) break
      count += 1
    }
    return this.#entries.slice(0, count)
  }

  #apply(entries: readonly Entry[]): void {
    const outcome = this.#counts.measure(entries.length, () =>
      this.#shared.whileCommitting(() => this.#replica.apply(entries)),
    )
    const slow = this.#statements.take()
    if (slow.length > 0) this.#tellUser({ kind: 'slow', writes: slow })
    if (outcome.halted !== null) {
      this.#pause(outcome.halted)
      return
    }
    this.#entries = this.#entries.slice(entries.length)
    if (outcome.databasesChanged) this.#databasesEpoch += 1
    this.#resume()
    this.#publish()
    this.#tell(outcome)
    this.#releaseApplied()
    this.#checkpoint()
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
    const { appliedIndex, ownSequences, confIndex } = outcome
    this.#tellEngine({
      kind: 'applied',
      report: {
        applied: appliedIndex,
        sequences: ownSequences,
        origin: isNewOrigin ? origin : null,
        fingerprints: outcome.originsChanged ? this.#replica.fingerprints : null,
        format: this.#replica.format,
        confIndex,
        members: confIndex === null ? null : this.#replica.members,
      },
    })
  }

  #tellResults(results: readonly OwnResult[]): void {
    const appliedMs = processNowMs()
    const timed = results.map(({ index, bytes }) => {
      const received = this.#received.find(({ lastIndex }) => index <= lastIndex)
      assert(received !== undefined, 'what was applied was received')
      return { bytes, committedMs: received.committedMs, appliedMs }
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
    this.#restTimer = setTimeout(() => {
      this.#restTimer = null
      if (!this.#isTurnPlanned) this.#turn()
    }, delayMs)
  }

  /** Stands still for a while; a lock is held for a moment at most, and is no news to anyone. */
  #pause(halted: Halted): void {
    const pauseMs = this.#data.retryPauseMs ?? TROUBLE_PAUSE_MS
    const delayMs = halted.retry === 'busy' ? Math.min(BUSY_PAUSE_MS, pauseMs) : pauseMs
    this.#rest(delayMs)
    if (halted.retry === 'busy') return
    const isNews = this.#halted?.error.message !== halted.error.message
    this.#halted = halted
    if (isNews) this.#tellHalted()
  }

  #resume(): void {
    if (this.#halted === null) return
    this.#halted = null
    this.#tellHalted()
  }

  #tellHalted(): void {
    this.#publish()
    const reason = this.#halted?.error.message ?? null
    this.#tellUser({ kind: 'halted', reason })
    this.#tellEngine({ kind: 'halted', reason })
  }

  #serve(request: Request): void {
    switch (request.kind) {
      case 'copySnapshot':
        void this.#copySnapshot(request.id, request.directory)
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
        this.#answer(request.id, () => answerStep(this.#replica.trials, request, this.#shared))
        break
      case 'endTrial':
        this.#replica.trials.end(request.database, request.key)
        break
      case 'makeDurable':
        this.#answer(request.id, () => this.#replica.makeDurable())
        break
      case 'close':
        this.#close(request.id)
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

  #install(generation: number, index: number): ReplicaState {
    this.#replica.installGeneration(generation, { index })
    this.#entries = this.#entries.filter((entry) => entry.index > index)
    this.#releaseApplied()
    if (this.#restTimer !== null) clearTimeout(this.#restTimer)
    this.#restTimer = null
    this.#databasesEpoch += 1
    this.#walBytes = 0
    this.#isSlow = false
    this.#resume()
    this.#publish()
    this.#tellUser({ kind: 'installed', index, sequences: this.#replica.ownSequences() })
    this.#tellWaiting()
    const state = this.#state()
    this.#origin = state.origin
    return state
  }

  async #copySnapshot(id: number, directory: string): Promise<void> {
    try {
      const copy = await this.#copies.make(directory)
      this.#tellEngine({ kind: 'reply', id, error: null, value: copy })
    } catch (error) {
      // A copy is no part of the state: whatever stopped it, the next one may succeed.
      const failed = { code: 'ERR_FAILED', message: String(error), retryable: true }
      const failure = asFailure(error) ?? failed
      this.#tellEngine({ kind: 'reply', id, error: failure, value: null })
    }
  }

  #answerUser(message: UserToStorage): void {
    const databases = this.#isClosed ? [] : this.#replica.databases()
    const status = { databases, apply: this.#counts.value() }
    this.#tellUser({ kind: 'status', id: message.id, status })
  }

  #state(): ReplicaState {
    const { highestApplied, confState, confIndex, members, fingerprints, format } = this.#replica
    const applied = this.#replica.appliedIndex
    const origin = this.#replica.originOf(this.#data.memberId)
    const sequences = this.#replica.ownSequences()
    const cluster = { confState, confIndex, members, fingerprints, format }
    return { applied, highestApplied, ...cluster, origin, sequences }
  }

  #publish(): void {
    this.#shared.publishStorage({
      applied: this.#replica.appliedIndex,
      generation: this.#replica.generation,
      databasesEpoch: this.#databasesEpoch,
      isDivergent: this.#replica.isDivergent,
      walBytes: this.#walBytes,
    })
  }

  #tellEngine(message: StorageToEngine): void {
    this.#engine.postMessage(message)
  }

  #tellUser(message: StorageToUser, transfer: readonly ArrayBuffer[] = []): void {
    this.#user.postMessage(message, transfer)
  }

  /** The thread ends when nothing is left to wait for: copies under way end first. */
  #close(id: number | null = null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#restTimer !== null) clearTimeout(this.#restTimer)
    this.#copies.close()
    this.#replica.close()
    if (id !== null) this.#tellEngine({ kind: 'reply', id, error: null, value: null })
    this.#engine.close()
    this.#user.close()
  }
}

assert(parentPort !== null, 'the storage thread runs as a worker')
new StorageThread(workerData as StorageWorkerData, parentPort)
