import { EventEmitter } from 'node:events'
import {
  ColmenaError,
  type ColmenaNode,
  handler,
  isColmenaError,
  type Logger,
  type LogHold,
  type SignalOptions,
} from '../index.ts'
import { checkNotAborted, orAborted } from './calls.ts'
import { type BackupClock, REAL_CLOCK } from './clock.ts'
import { CountedCalls } from './counted-calls.ts'
import { Drills } from './drills.ts'
import { asColmenaError } from './failures.ts'
import { HANG_MS, Lane } from './lane.ts'
import { invalidOption, show } from './option-checks.ts'
import { type BackupConfig, type BackupOptions, checkBackupOptions } from './options.ts'
import type { BackupEvents, BackupStatus, Failing, TargetStatus } from './reports.ts'
import { isBehind, Shipper } from './shipper.ts'
import { Store } from './store.ts'
import type { BackupTarget } from './target.ts'
import type { Verified, VerifyBackupOptions } from './verifying.ts'

/** How often a node that does not lead asks the leader how far the backup is. */
const FOLLOW_MS = 5_000
const ASK_AGAIN_MS = 500
const BACKOFF_MS_MAX = 60_000
/** What is written up to the end is to be there, but no target may keep a process from ending. */
const CLOSE_MS = 5_000

/** What the leader knows of the backup, for the others. */
interface LeaderWord {
  readonly heldAfter: number | null
  readonly targets: readonly TargetStatus[]
}

const ASK = handler<null, LeaderWord>('colmena-backup')
const SYNC = handler<null, LeaderWord>('colmena-backup-sync')

/**
 * Keeps a node's databases in one or several targets from now on. Call it on every node of a
 * cluster, with the same options: the one that leads ships, and any may come to lead.
 *
 * @throws ColmenaError ERR_INVALID_OPTION; ERR_INVALID_ARGUMENT where this node has one already
 * @example
 * const backup = startBackup(node, { targets: directoryTarget('/mnt/backups/app') })
 * backup.on('alert', ({ target, error }) => page(`backup to ${target}: ${error.message}`))
 */
export function startBackup(node: ColmenaNode, options: BackupOptions): Backup {
  return new Backup(node, options, REAL_CLOCK)
}

/** A backup that runs, until it is closed or its node is. */
export class Backup extends EventEmitter<BackupEvents> implements AsyncDisposable {
  readonly #node: ColmenaNode
  readonly #config: BackupConfig
  readonly #clock: BackupClock
  readonly #end = new AbortController()
  readonly #lanes: readonly Lane[]
  readonly #drills: Drills
  readonly #unhandle: readonly (() => void)[]
  readonly #running: Promise<unknown>
  #hold: Promise<LogHold> | null = null
  #heldAfter: number | null = null
  /** What the leader said last. */
  #word: LeaderWord | null = null
  #copying: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | null = null

  /** @internal `startBackup` is for users. */
  constructor(node: ColmenaNode, options: BackupOptions, clock: BackupClock) {
    super()
    if (typeof node !== 'object' || node === null || node.shipping === undefined) {
      throw invalidOption(`startBackup takes the node that open gave, not ${show(node)}`)
    }
    this.#node = node
    this.#config = checkBackupOptions(options)
    this.#clock = clock
    const { signal } = this.#end
    this.#lanes = this.#config.targets.map((target) => this.#createLane(target))
    this.#drills = new Drills({
      config: this.#config,
      clock,
      signal,
      node,
      tell: (name, event) => this.#tell(name, event),
      alert: (failing) => this.#alert(failing),
    })
    this.#unhandle = [
      handleOnce(node, () => this.#leaderWord()),
      node.handle(SYNC, async () => {
        await this.#sync()
        return this.#leaderWord()
      }),
    ]
    const loops = [...this.#lanes.map((lane) => this.#ship(lane)), this.#follow()]
    this.#running = Promise.all([...loops, this.#drills.run()])
  }

  /** Everything there is to know of it, as plain JSON. */
  status(): BackupStatus {
    const isLeading = this.#node.isLeader
    const word = isLeading ? null : this.#word
    return {
      role: isLeading ? 'shipping' : 'following',
      targets: word?.targets ?? this.#lanes.map((lane) => lane.status(this.#clock.nowMs())),
      heldAfter: this.#heldAfter,
      drill: this.#drills.status,
    }
  }

  /**
   * Puts all that is applied by now into all targets. A node that does not lead has the leader do
   * it, and gives it `requestTimeoutMs`.
   *
   * @throws ColmenaError of the first target that failed; ERR_NO_LEADER, ERR_NO_HANDLER where the
   * leader has no backup, ERR_TIMEOUT while it goes on there, ERR_ABORTED, ERR_CLOSED
   */
  async sync({ signal }: SignalOptions = {}): Promise<void> {
    this.#checkOpen()
    checkNotAborted(signal)
    if (this.#node.isLeader) {
      const synced = this.#sync()
      if (signal === undefined) return synced
      await orAborted(synced, signal).catch((error) => {
        checkNotAborted(signal)
        throw error
      })
      return
    }
    try {
      this.#word = await this.#node.forward(SYNC, null, { signal })
    } catch (error) {
      // What the target said there is what it would have said here.
      const { cause } = error as ColmenaError
      const isOurs = isColmenaError(error) && error.code === 'ERR_HANDLER_FAILED'
      throw isOurs && isColmenaError(cause) ? cause : error
    }
  }

  async #sync(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.turn(() => lane.shipper.sync())))
  }

  /**
   * Restores into a folder for temporary files, looks whether that is what was backed up, and
   * deletes it again.
   *
   * @throws ColmenaError ERR_BACKUP_DAMAGED, ERR_TARGET, ERR_BUSY, ERR_ABORTED
   */
  async verify(options: VerifyBackupOptions = {}): Promise<readonly Verified[]> {
    this.#checkOpen()
    return this.#drills.verify(options)
  }

  /**
   * Ships what is applied by now if it can, then ends: each within 5 s. A call that a target does
   * not end by then is left behind. Twice is once.
   */
  async close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    await this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #shutDown(): Promise<void> {
    if (this.#node.isLeader) {
      const shipped = Promise.allSettled(
        this.#lanes.map((lane) => lane.turn(() => lane.shipper.sync())),
      )
      await this.#orTooLong(shipped)
    }
    this.#abort()
    const settled = this.#lanes.map(({ shipper }) => shipper.settled())
    await this.#orTooLong(Promise.all([this.#running, ...settled]))
    const hold = await this.#hold?.catch(() => null)
    await hold?.release().catch(() => {})
  }

  async #orTooLong(work: Promise<unknown>): Promise<void> {
    const over = new AbortController()
    await Promise.race([work, this.#clock.wait(CLOSE_MS, over.signal)])
    over.abort()
  }

  /** Nothing is begun any more, and what is under way ends. */
  #abort(): void {
    if (this.#end.signal.aborted) return
    this.#end.abort(new ColmenaError('ERR_CLOSED', 'the backup was closed'))
    for (const unhandle of this.#unhandle) unhandle()
  }

  #createLane(target: BackupTarget): Lane {
    const { signal } = this.#end
    const calls = new CountedCalls(target)
    const store = new Store(calls, this.#config.keys, signal)
    const shipper = new Shipper({
      node: this.#node,
      store,
      config: this.#config,
      clock: this.#clock,
      signal,
      alone: (work) => this.#alone(work),
      held: () => this.#moveHold(),
      tell: (name, event) => this.#tell(name, event),
    })
    return new Lane(target.label, shipper, calls)
  }

  /** One target at a time has a copy of all databases on this node's disk. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#copying.then(work)
    this.#copying = turn.catch(() => {})
    return turn
  }

  async #ship(lane: Lane): Promise<void> {
    const { signal } = this.#end
    const { syncIntervalMs } = this.#config
    while (!signal.aborted) {
      if (this.#node.isLeader) await this.#turn(lane)
      else await lane.turn(async () => lane.shipper.rest())
      const backoffMs = lane.failuresInRow === 0 ? 0 : syncIntervalMs * 2 ** lane.failuresInRow
      await this.#clock.wait(Math.max(syncIntervalMs, Math.min(backoffMs, BACKOFF_MS_MAX)), signal)
    }
  }

  async #turn(lane: Lane): Promise<void> {
    const { signal } = this.#end
    try {
      await lane.turn(() => lane.shipper.sync())
      this.#succeeded(lane)
    } catch (error) {
      // What the target has is the truth: the next turn looks there.
      lane.shipper.forget()
      // Once it is a gap, which the generation that begins then tells. Again it is one without end.
      if (signal.aborted || (isBehind(error) && lane.fellBehind())) return
      this.#failed(lane, isBehind(error) ? this.#tooSlow(lane, error) : asColmenaError(error))
    }
  }

  #succeeded(lane: Lane): void {
    if (lane.succeeded()) this.#tell('resumed', { target: lane.label })
  }

  #failed(lane: Lane, error: ColmenaError, isAlert = false): void {
    const inRow = lane.failed(error)
    const { label: target } = lane
    this.#tell('failed', { target, error, inRow })
    if (!isAlert && inRow !== this.#config.alertAfter) return
    this.#alert({ target, what: 'shipping', inRow, error })
  }

  #tooSlow({ label }: Lane, cause: unknown): ColmenaError {
    const message =
      `${label} takes so long that more is written meanwhile than the ` +
      `${this.#config.logBytesMax} bytes of log that are kept for it, so that all it gets is a ` +
      'snapshot each time: raise logBytesMax, or take a faster target'
    return new ColmenaError('ERR_TARGET', message, { retryable: true, cause })
  }

  /** Keeps this node's log from where the leader's backup is, as this node may lead next. */
  async #follow(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      if (!this.#node.isLeader) {
        try {
          this.#word = await this.#node.forward(ASK, null, { signal })
          for (const lane of this.#lanes) this.#succeeded(lane)
          await this.#moveHold()
        } catch (error) {
          // What is kept stays kept; that there is no leader is for others to tell.
          const code = isColmenaError(error) ? error.code : null
          if (code === 'ERR_CLOSED') this.#abort()
          if (code === 'ERR_NO_HANDLER') this.#missLeader()
        }
      }
      // Until it is known what is needed, nothing is held.
      const waitMs = this.#word === null ? ASK_AGAIN_MS : FOLLOW_MS
      await this.#clock.wait(waitMs, signal)
      if (signal.aborted) return
      for (const lane of this.#lanes) {
        if (lane.hangs(waitMs)) this.#failed(lane, hanging(lane.label), true)
      }
    }
  }

  #missLeader(): void {
    this.#word = null
    for (const lane of this.#lanes) this.#failed(lane, noBackup())
  }

  #leaderWord(): LeaderWord {
    const nowMs = this.#clock.nowMs()
    return {
      heldAfter: this.#needed(),
      targets: this.#lanes.map((lane) => lane.status(nowMs)),
    }
  }

  /** The entry behind which some target still needs the log; null while that is not known. */
  #needed(): number | null {
    const each = this.#lanes.map(({ shipper }) => shipper.heldAfter)
    return each.reduce((least, after) => {
      return least === null || after === null ? null : Math.min(least, after)
    })
  }

  async #moveHold(): Promise<void> {
    const after = this.#node.isLeader ? this.#needed() : (this.#word?.heldAfter ?? null)
    if (after === null || after === this.#heldAfter) return
    const { logBytesMax: bytesMax } = this.#config
    this.#hold ??= this.#node.shipping.hold({ after, bytesMax })
    const hold = await this.#hold.catch((error) => {
      this.#hold = null
      throw error
    })
    await hold.move(after)
    this.#heldAfter = after
  }

  #tell<Name extends keyof BackupEvents>(name: Name, event: BackupEvents[Name][0]): void {
    log(this.#config.logger, name, event)
    queueMicrotask(() => (this as EventEmitter).emit(name, event))
  }

  #alert(failing: Failing): void {
    this.#tell('alert', failing)
    const { onAlert, logger } = this.#config
    if (onAlert === undefined) return
    Promise.resolve(failing)
      .then(onAlert)
      .catch((error: unknown) => logger?.error?.(`onAlert threw: ${String(error)}`))
  }

  #checkOpen(): void {
    if (this.#end.signal.aborted) throw new ColmenaError('ERR_CLOSED', 'the backup was closed')
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT where the node has a backup */
function handleOnce(node: ColmenaNode, answer: () => LeaderWord): () => void {
  try {
    return node.handle(ASK, answer)
  } catch (cause) {
    if (!isColmenaError(cause) || cause.code !== 'ERR_INVALID_ARGUMENT') throw cause
    const message = 'this node has a backup already: close that one first, or give it all targets'
    throw new ColmenaError('ERR_INVALID_ARGUMENT', message, { cause })
  }
}

function hanging(label: string): ColmenaError {
  return new ColmenaError(
    'ERR_TARGET',
    `a call of ${label} has hung for ${HANG_MS / 60_000} minutes, and nothing is shipped until ` +
      'it ends: look whether what is behind it answers; where it never ends, restart this process',
    { retryable: true },
  )
}

function noBackup(): ColmenaError {
  return new ColmenaError(
    'ERR_NO_HANDLER',
    'the node that leads runs no backup, so nothing is shipped: start it on every node',
    { retryable: true },
  )
}

/** Of what happens each second nothing is said. */
function log<Name extends keyof BackupEvents>(
  logger: Logger | undefined,
  name: Name,
  event: BackupEvents[Name][0],
): void {
  if (logger === undefined || name === 'shipped') return
  const level = name === 'failed' ? 'warn' : name === 'alert' ? 'error' : 'info'
  const { error, ...rest } = event as { readonly error?: ColmenaError }
  const fields = error === undefined ? rest : { ...rest, error: error.message, code: error.code }
  logger[level]?.(`backup ${name}`, fields)
}
