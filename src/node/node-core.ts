import { join } from 'node:path'
import { processNowMs } from '../base/process-clock.ts'
import { SharedState } from '../base/shared-state.ts'
import {
  createReaders,
  type Readers,
  type StorageStatus,
  type StorageToUser,
} from '../database/database.ts'
import type { EngineOpening, EngineRequest, EngineToUser } from '../engine/engine.ts'
import { CallCounts } from './call-counts.ts'
import type { OpenConfig } from './config.ts'
import type { DataDir } from './data-dir.ts'
import { Deadlines } from './deadlines.ts'
import type { Drops } from './drops.ts'
import { toEngineConfig } from './engine-config.ts'
import { hearEngine } from './engine-messages.ts'
import type { Emit } from './events.ts'
import {
  abortedError,
  checkNotAborted,
  closedError,
  divergedError,
  errorFromMessage,
  threadFailure,
} from './failures.ts'
import { createHooks, type Hooks } from './hooks.ts'
import { askForAddresses, type JoinSources } from './join-source.ts'
import { LeaderWatch } from './leader-watch.ts'
import { RELAXED_WARNING, storageData } from './opening.ts'
import { Outgoing } from './outgoing.ts'
import { settlesWithin } from './patience.ts'
import { ReaderProcesses } from './reader-processes.ts'
import { Reads } from './reads.ts'
import { Requests } from './requests.ts'
import { SlowStatements } from './slow-statements.ts'
import { hearStorage } from './storage-messages.ts'
import { StorageQueries } from './storage-queries.ts'
import { ThreadPair } from './thread-pair.ts'
import type { StartThread } from './threads.ts'
import type { Transactions } from './transactions.ts'
import type { Writes } from './writes.ts'

type State = 'opening' | 'open' | 'closing' | 'closed' | 'failed'

export interface NodeCoreOptions {
  readonly config: OpenConfig
  readonly dataDir: DataDir
  /** This open's origin: 32 hexadecimal digits. */
  readonly origin: string
  readonly startThread: StartThread
  readonly emit: Emit
}

/** Beyond one election timeout for the handover: what closing files may take. */
const CLOSE_MS_MAX = 10_000
const TERMINATE_MS_MAX = 2_000

/**
 * One node's life on the user thread: starts the other two, keeps what they report, and ends all
 * three together. Whatever ends it, every call that waits is settled, and the data directory is
 * let go only when no thread can write to it any more.
 */
export class NodeCore {
  readonly config: OpenConfig
  readonly shared: SharedState = new SharedState()
  readonly leaders: LeaderWatch
  readonly reads: Reads
  readonly calls: CallCounts = new CallCounts()
  /** Where isolated reads run. */
  readonly processes: ReaderProcesses
  readonly slow: SlowStatements
  /** All that leaves this node for the log. */
  readonly outgoing: Outgoing
  readonly hooks: Hooks
  readonly #options: NodeCoreOptions
  readonly #threads: ThreadPair
  readonly #deadlines: Deadlines
  readonly #requests: Requests
  readonly #storage: StorageQueries
  readonly #opened: PromiseWithResolvers<void> = Promise.withResolvers()
  #readers: Readers | null = null
  #state: State = 'opening'
  #failure: unknown
  /** A new member takes this one's place: once the threads are gone, others begin. */
  #isReplaced = false
  #isLogDurable = false
  #ending: Promise<void> | undefined
  #joinSources: JoinSources | undefined
  #haltedReason: string | null = null
  #undecidedReason: string | null = null
  /** The port that is really bound; 0 without network. */
  port = 0

  constructor(options: NodeCoreOptions) {
    const { config, origin, startThread } = options
    const { requestTimeoutMs, electionTimeoutMs } = config
    this.config = config
    this.#options = options
    this.#deadlines = new Deadlines(requestTimeoutMs, processNowMs)
    this.#requests = new Requests(this.#deadlines)
    this.#storage = new StorageQueries({
      requests: this.#requests,
      post: (id) => this.#threads.postStorage({ kind: 'status', id }),
      patienceMs: electionTimeoutMs,
    })
    this.#threads = new ThreadPair(startThread, {
      engine: (message) => this.#fromEngine(message),
      storage: (message) => this.#fromStorage(message),
      ended: (name, error) => {
        if (this.#state !== 'closing' && !this.#isReplaced) this.#fail(threadFailure(name, error))
      },
    })
    this.leaders = new LeaderWatch(
      () => this.shared.readEngine().leader,
      (id, term) => options.emit('leader', { id, term }),
    )
    this.reads = new Reads({
      shared: this.shared,
      deadlines: this.#deadlines,
      electionTimeoutMs,
      nowMs: processNowMs,
      wallMs: () => Date.now(),
      haltedReason: () => this.haltedReason,
      ask: (id, level) => this.#threads.postEngine({ kind: 'read', id, level }),
    })
    this.outgoing = new Outgoing({
      origin,
      config,
      deadlines: this.#deadlines,
      requests: this.#requests,
      counts: this.calls,
      shared: this.shared,
      threads: () => this.#threads,
      confirm: (signal) => {
        const asked = { level: 'strong', after: undefined, maxStalenessMs: undefined } as const
        return this.reads.enter({ ...asked, signal }).gate
      },
      haltedReason: () => this.haltedReason,
      nowMs: processNowMs,
      checkOpen: () => this.checkOpen(),
    })
    const source = { directory: join(options.dataDir.path, 'db'), extensions: config.extensions }
    this.processes = new ReaderProcesses(source, this.shared, this.#deadlines)
    this.hooks = createHooks(this.#requests, options.emit, (message) =>
      this.#threads.postStorage(message),
    )
    this.slow = new SlowStatements(config.slowMs, (statement) => options.emit('slow', statement))
  }

  get writes(): Writes {
    return this.outgoing.writes
  }

  get transactions(): Transactions {
    return this.outgoing.transactions
  }

  get drops(): Drops {
    return this.outgoing.drops
  }

  get handlers(): Outgoing['handlers'] {
    return this.outgoing.handlers
  }

  get identity(): DataDir['identity'] {
    return this.#options.dataDir.identity
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  /** Why nothing is applied on this machine, or written anywhere; null if it is. */
  get haltedReason(): string | null {
    return this.#haltedReason ?? this.#undecidedReason
  }

  /** Whether this node leads, as far as it can know without asking anyone. */
  get isLeader(): boolean {
    const { isLeader, isClosed, stampMs } = this.shared.readEngine()
    if (!this.isOpen || !isLeader || isClosed) return false
    return processNowMs() - stampMs < this.config.electionTimeoutMs
  }

  /** The way to the files; closed while they may differ from the others'. @throws ColmenaError */
  get readers(): Readers {
    this.checkOpen()
    if (this.shared.isDivergent()) throw divergedError(this.#haltedReason)
    return this.#readers as Readers
  }

  /** Resolves when this node serves local reads; on failure nothing is left open. */
  async open(): Promise<void> {
    const { signal } = this.config
    const abort = (): void => this.#opened.reject(abortedError(signal as AbortSignal))
    signal?.addEventListener('abort', abort, { once: true })
    try {
      checkNotAborted(signal)
      this.#startEngine()
      await this.#opened.promise
    } catch (error) {
      this.#failure ??= error
      this.#state = 'closing'
      const { durability, electionTimeoutMs } = this.config
      // Closed in order, a relaxed open owes nothing.
      if (durability === 'relaxed') await this.#threads.close(electionTimeoutMs + CLOSE_MS_MAX)
      await (this.#ending ?? this.#end('failed'))
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** @throws ColmenaError ERR_CLOSED after close, and after a failure with that as its cause. */
  checkOpen(): void {
    if (this.#state !== 'open') throw closedError(this.#failure)
  }

  /** Asks the engine. */
  async request(asked: EngineRequest, signal?: AbortSignal, timeoutMs?: number): Promise<unknown> {
    this.checkOpen()
    const message = { kind: 'request', request: asked } as const
    const post = (id: number): void => this.#threads.postEngine({ ...message, id })
    return this.#requests.ask({ what: asked.method, signal, timeoutMs, post })
  }

  /** What the storage thread says of databases and applying. */
  async storageStatus(signal?: AbortSignal): Promise<StorageStatus> {
    this.checkOpen()
    return this.#storage.status(signal)
  }

  /** Every caller gets the same promise, so a second close can't race the first. */
  close(signal?: AbortSignal): Promise<void> {
    if (this.#state === 'open') this.#ending = this.#shutDown(signal)
    return this.#ending ?? Promise.resolve()
  }

  #fromEngine(message: EngineToUser): void {
    const { reads, leaders, outgoing } = this
    const { emit } = this.#options
    if (hearEngine(message, { reads, leaders, outgoing, requests: this.#requests, emit })) return
    switch (message.kind) {
      case 'undecided':
        this.#undecidedReason = message.reason
        break
      case 'fatal':
        this.#fail(errorFromMessage(message.error))
        break
      case 'closed':
        this.#isLogDurable = message.isDurable
        break
      case 'decision':
        break
      default:
        this.#fromEngineOpening(message as EngineOpening)
    }
  }

  #fromEngineOpening(message: EngineOpening): void {
    const { dataDir, origin } = this.#options
    switch (message.kind) {
      case 'clusterFound':
        if (!this.#keep(() => dataDir.found(message))) return
        this.#threads.postEngine({ kind: 'clusterKept' })
        break
      case 'startStorage':
        this.#threads.startStorage(storageData(this.config, dataDir, message, origin, this.shared))
        break
      case 'established':
        this.#keep(() => dataDir.keep({ state: 'established' }))
        break
      case 'replaced':
        this.#isReplaced = true
        void this.#threads.exited().then(() => this.#beginAgain(message))
        break
      case 'lossKept':
        this.#keep(() => dataDir.lossKept(this.config))
        this.#options.emit('warning', { code: 'ERR_UNCLEAN_STOP', message: message.message })
        break
      case 'ready':
        if (this.#state !== 'opening' || !this.#keep(() => dataDir.joined())) return
        this.port = message.port
        this.#readers = createReaders({ ...this.processes.source, shared: this.shared })
        this.#state = 'open'
        if (this.config.durability === 'relaxed') this.#options.emit('warning', RELAXED_WARNING)
        this.#opened.resolve()
        this.#storage.status(undefined).catch(() => {})
        break
      case 'openFailed':
        this.#opened.reject(errorFromMessage(message.error))
        break
    }
  }

  #fromStorage(message: StorageToUser): void {
    const { reads, hooks, slow, outgoing } = this
    hearStorage(message, {
      ...{ reads, hooks, slow, outgoing },
      requests: this.#requests,
      emit: this.#options.emit,
      halted: (reason) => {
        this.#haltedReason = reason
      },
    })
  }

  #startEngine(): void {
    const { config, dataDir, origin } = this.#options
    this.#isLogDurable = false
    this.#threads.startEngine(toEngineConfig(config, dataDir.identity, origin), this.shared)
    this.#joinSources?.close()
    this.#joinSources = askForAddresses(config, this.leaders, this.#threads, this.#options.emit)
  }

  /** Nobody has the old files open any more. */
  #beginAgain({ memberId, addresses }: Extract<EngineOpening, { kind: 'replaced' }>): void {
    const { config, dataDir } = this.#options
    this.#isReplaced = false
    if (this.#state !== 'opening') return
    this.shared.reset()
    if (this.#keep(() => dataDir.replace(config, memberId, addresses))) this.#startEngine()
  }

  /** False, and the node fails, where the identity can't be kept. */
  #keep(change: () => void): boolean {
    try {
      change()
      return true
    } catch (error) {
      this.#fail(error)
      return false
    }
  }

  /** Threads are never restarted alone: this node ends, and opening it again recovers. */
  #fail(cause: unknown): void {
    if (this.#state === 'opening') {
      this.#opened.reject(cause)
    } else if (this.#state === 'open' || this.#state === 'closing') {
      this.#failure ??= cause
      this.#ending = this.#end('failed')
    }
  }

  async #shutDown(signal: AbortSignal | undefined): Promise<void> {
    const { electionTimeoutMs } = this.config
    this.#state = 'closing'
    // What was called before has a fair chance to end well; nothing new is taken.
    await settlesWithin(this.outgoing.drained(), electionTimeoutMs, signal)
    if (this.#state !== 'closing') return
    // Before the writers close: whoever is last takes the write-ahead files in.
    this.#readers?.close()
    await settlesWithin(this.processes.close(closedError(undefined)), electionTimeoutMs, signal)
    if (this.#state !== 'closing') return
    await this.#threads.close(electionTimeoutMs + CLOSE_MS_MAX, signal)
    if (this.#state === 'closing') await this.#end('closed')
  }

  /** Settles every call, ends what still runs, and lets the data directory go. */
  async #end(state: 'closed' | 'failed'): Promise<void> {
    const wasOpen = this.#readers !== null
    this.#state = state
    this.#settleAll()
    this.#threads.terminate()
    const exited = this.#threads.exited().then(() => {
      // No thread is left that could write.
      this.shared.publishEngineClosed()
      if (this.#isLogDurable && (state === 'closed' || !wasOpen)) this.#options.dataDir.closedWell()
      this.#options.dataDir.close()
    })
    await settlesWithin(exited, TERMINATE_MS_MAX)
    // A statement that runs can't be stopped; the lock is held until it has ended, the process
    // need not be.
    this.#threads.unref()
    if (!wasOpen) return
    if (state === 'closed') this.#options.emit('closed', { reason: 'requested' })
    else this.#options.emit('closed', { reason: 'failed', cause: this.#failure })
  }

  #settleAll(): void {
    const error = closedError(this.#failure)
    this.#joinSources?.close()
    this.outgoing.failAll(this.#failure)
    this.reads.failAll(error)
    this.#requests.failAll(closedError(this.#failure, 'unknown'))
    this.leaders.failAll(error)
    this.hooks.failAll(error)
    this.#deadlines.close()
    this.#readers?.close()
    void this.processes.close(error)
  }
}
