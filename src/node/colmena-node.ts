import { EventEmitter } from 'node:events'
import { ColmenaError } from '../base/errors.ts'
import { isDatabaseName, SYSTEM } from '../database/database.ts'
import type { EngineMetrics, EngineStatus, MemberStatus } from '../engine/engine.ts'
import { formatHostPort } from './address.ts'
import { type Consistency, checkConsistency } from './consistency.ts'
import { Database } from './database-client.ts'
import type { Emit, NodeEvents } from './events.ts'
import { checkNotAborted } from './failures.ts'
import type { Leader, WaitOptions } from './leader-watch.ts'
import { createMetrics, type NodeMetrics } from './metrics.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'
import type { Logger } from './options.ts'
import { createStatus, type NodeStatus } from './status.ts'
import { type VerifyAnswer, type VerifyOptions, verify } from './verification.ts'

export interface DatabaseOptions {
  /**
   * The level of reads that name none.
   *
   * @defaultValue that of `open`
   */
  readonly consistency?: Consistency | undefined
  /**
   * Whether `"text"` that names no column is a string, as in programs from before SQLite advised
   * against it. The write that makes the database decides, for good and on all nodes; asking for
   * the other value later is ERR_INVALID_OPTION. Left out, the database is taken as it is.
   *
   * @defaultValue false for a database that is made
   */
  readonly doubleQuotedStrings?: boolean | undefined
}

const DATABASE_OPTIONS = ['consistency', 'doubleQuotedStrings']

/** What calls that only wait take. */
export interface SignalOptions {
  readonly signal?: AbortSignal | undefined
}

/** One running copy of Colmena, as `open` returns it. */
export class ColmenaNode extends EventEmitter<NodeEvents> implements AsyncDisposable {
  readonly #core: NodeCore

  constructor(createCore: (emit: Emit) => NodeCore) {
    super()
    // In a microtask, so that a listener that throws breaks nothing of ours.
    this.#core = createCore((name, ...event) => {
      queueMicrotask(() => {
        logEvent(this.#core.config.logger, name, event)
        this.#emitter.emit(name, ...event)
      })
    })
    const watch = (): void => this.#core.reads.watchAll(this.listenerCount('applied') > 0)
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
    checkKeys(options, DATABASE_OPTIONS, invalidOption, ' of a database')
    const consistency = options.consistency ?? this.#core.config.consistency
    const { doubleQuotedStrings } = options
    checkDoubleQuotedStrings(doubleQuotedStrings)
    checkConsistency(consistency, 'consistency')
    return new Database(this.#core, name, { consistency, doubleQuotedStrings })
  }

  /** The names of the databases that exist here. */
  async databases(options: SignalOptions = {}): Promise<string[]> {
    const { databases } = await this.#core.storageStatus(options.signal)
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
    checkNotAborted(options.signal)
    checkDatabaseName(name)
    return this.#core.drops.drop(name, options.signal)
  }

  /** Everything there is to know of this node, as plain JSON. */
  async status(options: SignalOptions = {}): Promise<NodeStatus> {
    const [engine, { databases }] = await Promise.all([
      this.#core.request({ method: 'status' }, options.signal),
      this.#core.storageStatus(options.signal),
    ])
    return createStatus(this.#core, this.address, engine as EngineStatus, databases)
  }

  /** Numbers for monitoring, as plain JSON; all counts since this node was opened. */
  async metrics(options: SignalOptions = {}): Promise<NodeMetrics> {
    const [engine, storage] = await Promise.all([
      this.#core.request({ method: 'metrics' }, options.signal),
      this.#core.storageStatus(options.signal),
    ])
    return createMetrics(this.#core, engine as EngineMetrics, storage)
  }

  /** The members of the cluster, as this node knows them. */
  async members(options: SignalOptions = {}): Promise<readonly MemberStatus[]> {
    const members = await this.#core.request({ method: 'members' }, options.signal)
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
    const timeoutMs = options.timeoutMs ?? this.#core.config.requestTimeoutMs
    return this.#core.leaders.wait(options.signal, timeoutMs)
  }

  /**
   * Makes another voter the leader: the one named, or the one that is furthest. Any node can ask.
   *
   * @throws ColmenaError ERR_NO_LEADER, or ERR_INVALID_ARGUMENT where it can't be had.
   */
  async transferLeadership(nodeId?: string, options: SignalOptions = {}): Promise<void> {
    const request = { method: 'transferLeadership', to: nodeId ?? null } as const
    await this.#core.request(request, options.signal)
  }

  /**
   * Lets a member vote, as soon as it has caught up and the number of voters stays odd. Any node
   * can ask; resolves when that is agreed on, see `members()` for what it came to.
   *
   * @throws ColmenaError ERR_NO_LEADER, ERR_INVALID_ARGUMENT, ERR_BUSY, ERR_TIMEOUT, ERR_ABORTED
   */
  async promote(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await this.#changeMember('promote', nodeId, options)
  }

  /**
   * Takes a member's vote; it stays as a learner, which serves reads and takes writes. A leader
   * hands over first.
   *
   * @throws as {@link promote}; never the last voter, nor one without whom no majority is left.
   */
  async demote(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await this.#changeMember('demote', nodeId, options)
  }

  /**
   * Takes a member out of the cluster for good: it ends with ERR_REMOVED. To come back it joins
   * anew, with an empty data directory.
   *
   * @throws as {@link demote}
   */
  async removeMember(nodeId: string, options: SignalOptions = {}): Promise<void> {
    await this.#changeMember('remove', nodeId, options)
  }

  async #changeMember(
    change: 'promote' | 'demote' | 'remove',
    nodeId: string,
    options: SignalOptions,
  ): Promise<void> {
    if (typeof nodeId !== 'string') {
      const message = `nodeId is ${JSON.stringify(nodeId)}; it must be the name of a member`
      throw new ColmenaError('ERR_INVALID_ARGUMENT', message)
    }
    await this.#core.request({ method: 'changeMember', change, nodeId }, options.signal)
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
   * Takes the leader's databases in place of this node's own, which are kept aside in
   * `db/diverged-<index>/`. It is how an operator decides where voters differ without a majority;
   * else nodes do it by themselves. A leader hands over first.
   */
  async reinstall(options: SignalOptions = {}): Promise<void> {
    await this.#core.request({ method: 'reinstall' }, options.signal)
  }

  /**
   * Ends this node: calls that are under way get at most one election timeout, a leader hands over
   * within another, then everything is closed and what still waits rejects with ERR_CLOSED.
   * `signal` cuts that short. Every caller gets the same promise. A process that never closes loses
   * nothing: it is as one that was killed.
   */
  close(options: SignalOptions = {}): Promise<void> {
    return this.#core.close(options.signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

function checkDatabaseName(name: unknown): void {
  if (typeof name === 'string' && isDatabaseName(name) && name !== SYSTEM) return
  throw new ColmenaError(
    'ERR_INVALID_ARGUMENT',
    `a database can't be called ${JSON.stringify(name)}: use 1 to 64 of a-z, 0-9, _ and -, and ` +
      `not '${SYSTEM}', which is the cluster's own`,
  )
}

function checkDoubleQuotedStrings(value: unknown): void {
  if (value === undefined || typeof value === 'boolean') return
  throw invalidOption(`doubleQuotedStrings is ${JSON.stringify(value)}; it can be true or false`)
}

function invalidOption(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}

function logEvent(logger: Logger, name: keyof NodeEvents, [event]: readonly unknown[]): void {
  switch (name) {
    case 'applied':
      logger.debug?.('applied', event)
      break
    case 'warning':
      logger.warn?.((event as NodeEvents['warning'][0]).message, event)
      break
    case 'divergence':
      logger.error?.((event as NodeEvents['divergence'][0]).reason, event)
      break
    case 'slow': {
      const { kind, database, durationMs, sql } = event as NodeEvents['slow'][0]
      const tookMs = Math.round(durationMs)
      logger.warn?.(`a ${kind} of database '${database}' took ${tookMs} ms: ${sql}`, event)
      break
    }
    case 'closed': {
      const closed = event as NodeEvents['closed'][0]
      if (closed.reason === 'failed') logger.error?.('this node has failed', event)
      else logger.info?.('this node is closed', event)
      break
    }
    default:
      logger.info?.(`${name} changed`, event)
  }
}
