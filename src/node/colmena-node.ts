import { EventEmitter } from 'node:events'
import type { EngineMetrics, EngineStatus, MemberStatus } from '../engine/engine.ts'
import { formatHostPort } from './address.ts'
import { checkNodeId, checkSignalOptions, type SignalOptions } from './arguments.ts'
import { type Compacted, type CompactOptions, compact } from './compaction.ts'
import { Database } from './database-client.ts'
import {
  checkDatabaseName,
  checkDatabaseOptions,
  type DatabaseOptions,
} from './database-options.ts'
import { EarlyWarnings } from './early-warnings.ts'
import { logEvent } from './event-log.ts'
import type { Emit, NodeEvents, NodeListener } from './events.ts'
import { checkNotAborted } from './failures.ts'
import { type ForwardOptions, forward } from './forwarding.ts'
import type { Handler, HandlerWork } from './handler.ts'
import { checkWaitOptions, type Leader, type WaitOptions } from './leader-watch.ts'
import { runOnce, takeLock } from './lease-calls.ts'
import type { Lease, LockOptions, OnceOptions } from './lease-options.ts'
import type { Lock } from './lock.ts'
import { changeMember } from './member-calls.ts'
import { createMetrics, type NodeMetrics } from './metrics.ts'
import type { NodeCore } from './node-core.ts'
import {
  checkMigrationsOptions,
  type Migration,
  type MigrationDone,
  type MigrationsOptions,
  runMigrations,
} from './numbered-migrations.ts'
import { type Rotation, rotate } from './rotation.ts'
import { Shipping } from './shipping.ts'
import { type SkipOptions, skip } from './skipping.ts'
import { createStatus, type NodeStatus } from './status.ts'
import { type VerifyAnswer, type VerifyOptions, verify } from './verification.ts'

/** One running copy of Colmena, as `open` returns it. */
export class ColmenaNode extends EventEmitter<NodeEvents> implements AsyncDisposable {
  readonly #core: NodeCore
  readonly #early = new EarlyWarnings()

  static async open(createCore: (emit: Emit) => NodeCore): Promise<ColmenaNode> {
    const node = new ColmenaNode(createCore)
    await node.#core.open()
    node.#early.tellSoon((...event) => node.emit('warning', ...event))
    return node
  }

  private constructor(createCore: (emit: Emit) => NodeCore) {
    super()
    // In a microtask, so that a listener that throws breaks nothing of ours.
    this.#core = createCore((name, ...event) => {
      queueMicrotask(() => {
        logEvent(this.#core.config.logger, name, event)
        if (!this.#early.keep(name, event)) this.#emitter.emit(name, ...event)
      })
    })
    const watch = (): void => {
      this.#core.reads.watchAll(this.listenerCount('progress') > 0)
      this.#core.shared.setTellsWrites(this.listenerCount('applied') > 0)
    }
    this.#emitter.on('newListener', () => queueMicrotask(watch))
    this.#emitter.on('removeListener', watch)
  }

  /** This very object, for event names that {@link NodeEvents} has not or that are computed. */
  get #emitter(): EventEmitter {
    return this as unknown as EventEmitter
  }

  get nodeId(): string {
    return this.#core.identity.nodeId
  }

  get memberId(): number {
    return this.#core.identity.memberId
  }

  /** `host:port` that this node really listens on; '' without network. */
  get address(): string {
    const { bind } = this.#core.config
    return bind === null ? '' : formatHostPort({ host: bind.host, port: this.#core.port })
  }

  /** Whether this node leads, as far as it can know without asking anyone. */
  get isLeader(): boolean {
    return this.#core.isLeader
  }

  /** The leader as this node was last told; null while there is none. */
  get leader(): Leader | null {
    return this.#core.leaders.leader
  }

  /**
   * A database by its name. Its first write makes it, on all nodes; until then it reads as an
   * empty one. Handles cost nothing, and each may have another level.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT for a name that is not of `[a-z0-9_-]{1,64}`, or
   * that is kept for the cluster itself; ERR_INVALID_OPTION for an option that there is not, or a
   * value that it can't have.
   */
  database(name = 'main', options: DatabaseOptions = {}): Database {
    this.#core.checkOpen()
    checkDatabaseName(name)
    const config = checkDatabaseOptions(options, this.#core.config.consistency)
    return new Database(this.#core, name, config)
  }

  /** The names of the databases that exist here. */
  async databases(options: SignalOptions = {}): Promise<string[]> {
    const { databases } = await this.#core.storageStatus(checkSignalOptions(options, 'databases'))
    return databases.map(({ name }) => name).sort()
  }

  /**
   * Removes a database from all nodes, with everything in it; it is gone here when this resolves.
   *
   * @returns false if there was none of that name.
   * @throws ColmenaError ERR_NO_LEADER, ERR_TIMEOUT, ERR_ABORTED, ERR_INVALID_ARGUMENT
   */
  async dropDatabase(name: string, options: SignalOptions = {}): Promise<boolean> {
    this.#core.checkOpen()
    const signal = checkSignalOptions(options, 'dropDatabase')
    checkNotAborted(signal)
    checkDatabaseName(name)
    return this.#core.drops.drop(name, signal)
  }

  /** Everything there is to know of this node, as plain JSON. */
  async status(options: SignalOptions = {}): Promise<NodeStatus> {
    const signal = checkSignalOptions(options, 'status')
    const [engine, storage] = await Promise.all([
      this.#core.request({ method: 'status' }, signal),
      this.#core.storageStatus(signal),
    ])
    return createStatus(this.#core, this.address, engine as EngineStatus, storage)
  }

  /** Numbers for monitoring, as plain JSON; all counts since this node was opened. */
  async metrics(options: SignalOptions = {}): Promise<NodeMetrics> {
    const signal = checkSignalOptions(options, 'metrics')
    const [engine, storage] = await Promise.all([
      this.#core.request({ method: 'metrics' }, signal),
      this.#core.storageStatus(signal),
    ])
    return createMetrics(this.#core, engine as EngineMetrics, storage)
  }

  /** The members of the cluster, as this node knows them. */
  async members(options: SignalOptions = {}): Promise<readonly MemberStatus[]> {
    const signal = checkSignalOptions(options, 'members')
    const members = await this.#core.request({ method: 'members' }, signal)
    return members as readonly MemberStatus[]
  }

  /**
   * Resolves when there is a leader, with who it is.
   *
   * @throws ColmenaError ERR_TIMEOUT after `timeoutMs` (`requestTimeoutMs` by default),
   * ERR_ABORTED, ERR_INVALID_ARGUMENT
   */
  async waitForLeader(options: WaitOptions = {}): Promise<Leader> {
    this.#core.checkOpen()
    const { timeoutMs = this.#core.config.requestTimeoutMs, signal } = checkWaitOptions(options)
    return this.#core.leaders.wait(signal, timeoutMs)
  }

  /**
   * Makes another voter the leader: the one named, or the one that is furthest. Any node can ask.
   *
   * @throws ColmenaError ERR_NO_LEADER, or ERR_INVALID_ARGUMENT where it can't be had.
   */
  async transferLeadership(nodeId?: string, options: SignalOptions = {}): Promise<void> {
    const signal = checkSignalOptions(options, 'transferLeadership')
    if (nodeId !== undefined) checkNodeId(nodeId)
    await this.#core.request({ method: 'transferLeadership', to: nodeId ?? null }, signal)
  }

  /**
   * Lets a member vote, as soon as it has caught up and the number of voters stays odd. Any node
   * can ask; resolves when that is agreed on, see `members()` for what it came to.
   *
   * @throws ColmenaError ERR_NO_LEADER, ERR_INVALID_ARGUMENT, ERR_BUSY, ERR_TIMEOUT, ERR_ABORTED
   */
  async promote(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await changeMember(this.#core, 'promote', nodeId, options)
  }

  /**
   * Takes a member's vote; it stays as a learner, which serves reads and takes writes. A leader
   * hands over first.
   *
   * @throws as {@link promote}; never the last voter, nor one without whom no majority is left.
   */
  async demote(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await changeMember(this.#core, 'demote', nodeId, options)
  }

  /**
   * Takes a member out of the cluster for good: it ends with ERR_REMOVED. To come back it joins
   * anew, with an empty data directory.
   *
   * @throws as {@link demote}
   */
  async removeMember(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await changeMember(this.#core, 'remove', nodeId, options)
  }

  /**
   * Gets a lock that one caller in the cluster has at a time, and renews it until it is released.
   * It waits for another holder; of those on one node the first to ask is the first to have it.
   * Give it to writes as their `fence`: those of a holder that lost it are refused.
   *
   * @throws ColmenaError ERR_BUSY where another held it for `waitMs`; ERR_ABORTED,
   * ERR_INVALID_ARGUMENT, ERR_NO_LEADER, ERR_CLOSED. After ERR_TIMEOUT (`outcome` 'unknown') it
   * may be held by nobody until `ttlMs` is over.
   * @example
   * await using lock = await node.lock('reports', { ttlMs: 10_000 })
   * await db.execute('UPDATE reports SET done = 1', [], { fence: lock })
   */
  async lock(key: string, options: LockOptions): Promise<Lock> {
    return takeLock(this.#core, key, options)
  }

  /** Hears an event the next time that it comes. */
  override once<K>(eventName: K | keyof NodeEvents, listener: NodeListener<K>): this
  /**
   * Runs `work` once in the cluster, and gives what it resolves to, to all that call with this key
   * now and within `ttlMs` from its end, as JSON with bigint, Date and Uint8Array kept. If its node
   * dies the next caller runs. It gets the lease that it runs under, as a `fence` for what it
   * writes.
   *
   * @throws what `work` throws, which is kept for `errorTtlMs`; ColmenaError ERR_BUSY where another
   * caller ran longer than `waitMs`, ERR_TOO_LARGE for a result of more than 1 MiB; ERR_FENCED with
   * `outcome` 'unknown' where the lease was lost meanwhile, so that another may have run too. Else
   * as {@link lock}.
   * @example
   * const rates = await node.once('rates', { ttlMs: 60_000 }, () => fetchRates())
   */
  override once<T>(
    key: string,
    options: OnceOptions,
    work: (lease: Lease) => T | Promise<T>,
  ): Promise<T>
  override once(
    name: string,
    second: OnceOptions | ((...event: unknown[]) => void),
    work?: (lease: Lease) => unknown,
  ): this | Promise<unknown> {
    if (typeof second !== 'function') return runOnce(this.#core, name, second, work)
    super.once(name as never, second as never)
    return this
  }

  /**
   * Has a database run the migrations that it has not run yet, in order, each once in the whole
   * cluster, whoever asks and however many at once. It resolves when this node has applied them
   * all. Each is all or nothing, with foreign keys off while it runs, and checked at its end.
   *
   * @throws ColmenaError ERR_MIGRATION_CONFLICT where a migration that has run has other statements
   * now, or a new one comes before it: nothing is changed. SqlError of the first that fails: those
   * before it stay. ERR_TIMEOUT, ERR_ABORTED, ERR_INVALID_ARGUMENT, ERR_REFUSED_SQL.
   * @example
   * await node.migrate([
   *   { version: 1, name: 'notes', up: 'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)' },
   * ])
   */
  async migrate(
    migrations: readonly Migration[],
    options: MigrationsOptions = {},
  ): Promise<readonly MigrationDone[]> {
    const checked = checkMigrationsOptions(options)
    checkDatabaseName(checked.database)
    return runMigrations(this.#core, migrations, checked)
  }

  /**
   * Says what this node does for {@link forward} while it leads. Call it on every node, since each
   * may come to lead. Returns what takes it away again.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where this node handles that key already; ERR_CLOSED
   */
  handle<Request, Response>(
    handler: Handler<Request, Response>,
    work: HandlerWork<Request, Response>,
  ): () => void {
    this.#core.checkOpen()
    return this.#core.handlers.add(handler, work)
  }

  /**
   * Has the leader's handler work on a request, wherever it is called, and gives its answer. It is
   * never run twice by us.
   *
   * @throws ColmenaError ERR_HANDLER_FAILED with what the handler threw as its `cause`;
   * ERR_NO_HANDLER where the leader has none of that key and version; ERR_TIMEOUT, ERR_ABORTED,
   * ERR_NO_LEADER, whose `outcome` is 'unknown' where it may have run; ERR_TOO_LARGE, ERR_BUSY,
   * ERR_INVALID_ARGUMENT for a request that does not travel.
   * @example
   * const charge = handler<{ cents: bigint }, { receipt: string }>('charge')
   * node.handle(charge, async ({ cents }) => ({ receipt: await pay(cents) }))
   * const { receipt } = await node.forward(charge, { cents: 1250n })
   */
  async forward<Request, Response>(
    handler: Handler<Request, Response>,
    request: NoInfer<Request>,
    options: ForwardOptions = {},
  ): Promise<Response> {
    this.#core.checkOpen()
    return (await forward(this.#core, handler, request, options)) as Response
  }

  /**
   * Compares the content of all databases on all members, as it is at one index: SHA-256 over
   * schema and rows. Nothing stands still for it. A member that does not hold what the majority of
   * voters holds takes the leader's databases by itself, as after a `divergence` event.
   *
   * @throws ColmenaError ERR_BUSY while another one runs here, ERR_TIMEOUT, ERR_ABORTED
   */
  async verify(options: VerifyOptions = {}): Promise<VerifyAnswer> {
    return verify(this.#core, options)
  }

  /**
   * Skips the entry at `index`, which no member can apply: each stands still at it, as it failed
   * there or died of it twice. It fails everywhere alike, with ERR_VOIDED.
   * @throws ColmenaError ERR_INVALID_ARGUMENT, saying who could still apply it; ERR_NO_LEADER
   */
  async skip(index: number, options: SkipOptions = {}): Promise<void> {
    await skip(this.#core, index, options)
  }

  /**
   * Gives back the room that a database has and does not use, on all nodes, at one place of the
   * log. Meanwhile nothing else is applied, and a node needs twice what is left over as free disk.
   * Rows of tables with neither an INTEGER PRIMARY KEY nor an index get other rowids.
   *
   * @throws ColmenaError ERR_NOT_FOUND where there is no such database; ERR_MIXED_ENGINES while
   * members run different builds of SQLite; ERR_TIMEOUT, ERR_ABORTED, with what is known as
   * `outcome`; ERR_INVALID_ARGUMENT, ERR_NO_LEADER
   * @example
   * const { beforeBytes, afterBytes } = await node.compact('main')
   */
  async compact(database = 'main', options: CompactOptions = {}): Promise<Compacted> {
    checkDatabaseName(database)
    return compact(this.#core, database, options)
  }

  /**
   * Takes the leader's databases in place of this node's own, which are kept aside in
   * `db/diverged-<index>/`. It is how an operator decides where voters differ without a majority;
   * else nodes do it by themselves. A leader hands over first.
   */
  async reinstall(options: SignalOptions = {}): Promise<void> {
    await this.#core.request({ method: 'reinstall' }, checkSignalOptions(options, 'reinstall'))
  }

  /** What a backup takes of this node. */
  get shipping(): Shipping {
    return new Shipping(this.#core)
  }

  /**
   * Puts a new secret, or new certificates, in place of those that this node was opened with, and
   * makes its connections anew; writes and leadership go on. It holds until this node is closed.
   * Where not all nodes have the new one yet, give a list of both, or a `ca` of both.
   *
   * @throws ColmenaError ERR_INVALID_OPTION, ERR_WEAK_SECRET: nothing is changed; ERR_ABORTED,
   * ERR_TIMEOUT
   * @example
   * await node.rotate({ secret: [newSecret, oldSecret] }) // on each node, then on each
   * await node.rotate({ secret: newSecret })
   */
  async rotate(rotation: Rotation, options: SignalOptions = {}): Promise<void> {
    await rotate(this.#core, rotation, options)
  }

  /**
   * Ends this node: its locks and open transactions end, calls that are under way get at most one
   * election timeout, a leader hands over within another, then everything is closed and what still
   * waits rejects with ERR_CLOSED. `signal` cuts that short. Every caller gets the same promise. A
   * process that never closes loses nothing: it is as one that was killed.
   */
  close(options: SignalOptions = {}): Promise<void> {
    try {
      return this.#core.close(checkSignalOptions(options, 'close'))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}
