import { ColmenaError } from '../base/errors.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { AskedDatabase, ReaderAnswer, ReaderSource, ReaderWork } from '../database/database.ts'
import { type Deadlines, Waiting } from './deadlines.ts'
import { abortedError, checkNotAborted } from './failures.ts'
import { type ReaderChild, type StartReaderChild, startReaderChild } from './reader-child.ts'

/** Work for a process of its own, and what ends it. */
export interface IsolatedCall {
  readonly asked: AskedDatabase
  readonly work: ReaderWork
  /** Its process is killed after so long. */
  readonly timeoutMs: number
  /** Told of that; what the call fails with. */
  readonly timedOut: () => ColmenaError
  readonly signal: AbortSignal | undefined
}

const PROCESSES_MAX = 4
/** Of them, those that may be busy with long work while somebody waits: one is for the short. */
const LONG_MAX = PROCESSES_MAX - 1
/** A read that runs for so long is long; a copy is from its beginning. */
const LONG_MS_MIN = 1_000
const CALLS_WAITING_MAX = 256
/** An idle process ends after so long. */
const IDLE_MS_MAX = 30_000
/** Tries of work whose files were replaced under it. */
const TRIES_MAX = 8

class Job extends Waiting {
  readonly call: IsolatedCall
  readonly #waitMs: number
  readonly #expired: (job: Job) => void
  readonly #settled: Promise<ReaderAnswer>
  #resolve: (answer: ReaderAnswer) => void = () => {}
  #reject: (error: unknown) => void = () => {}
  tries = 0

  constructor(call: IsolatedCall, waitMs: number, expired: (job: Job) => void) {
    super()
    this.call = call
    this.#waitMs = waitMs
    this.#expired = expired
    this.#settled = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  get isCopy(): boolean {
    return this.call.work.kind === 'copy'
  }

  get answer(): Promise<ReaderAnswer> {
    return this.#settled
  }

  override expire(): void {
    this.#expired(this)
    const message = `all ${PROCESSES_MAX} reader processes were busy for ${this.#waitMs} ms`
    this.fail(new ColmenaError('ERR_TIMEOUT', message, { retryable: true }))
  }

  succeed(answer: ReaderAnswer): void {
    this.#resolve(answer)
  }

  fail(error: unknown): void {
    this.#reject(error)
  }
}

/** One process: starting, then idle or busy with a job; and at last killed, until it is gone. */
interface Slot {
  readonly child: ReaderChild
  isReady: boolean
  job: Job | null
  isLong: boolean
  beganMs: number
  /** The generation that the job's request named. */
  generation: number
  /** Of the job, until it is long or too long, or of being idle. */
  timer: NodeJS.Timeout | null
  /** Why it is killed, which is what its job fails with. */
  endedBy: unknown
}

/**
 * The few processes in which isolated reads run: a statement of SQLite's can't be stopped, but a
 * process can. Each is started when there is work that no other is free for, and is killed rather
 * than asked. Long work never has all of them while a read waits: the youngest makes room.
 */
export class ReaderProcesses {
  readonly source: ReaderSource
  readonly #shared: SharedState
  readonly #deadlines: Deadlines
  readonly #startChild: StartReaderChild
  readonly #slots = new Set<Slot>()
  /** The one that was busy last is the last, so that those not needed age. */
  #idle: Slot[] = []
  #waiting: Job[] = []
  #closedBy: unknown
  readonly #gone: PromiseWithResolvers<void> = Promise.withResolvers()

  /** `deadlines` are those of work that waits. */
  constructor(
    source: ReaderSource,
    shared: SharedState,
    deadlines: Deadlines,
    startChild: StartReaderChild = startReaderChild,
  ) {
    this.source = source
    this.#shared = shared
    this.#deadlines = deadlines
    this.#startChild = startChild
  }

  /** @throws ColmenaError ERR_TIMEOUT, ERR_ABORTED, ERR_BUSY, ERR_FAILED, ERR_CLOSED. */
  async run(call: IsolatedCall): Promise<ReaderAnswer> {
    const { signal } = call
    checkNotAborted(signal)
    if (this.#closedBy !== undefined) throw this.#closedBy
    if (this.#waiting.length >= CALLS_WAITING_MAX) {
      const message = `${CALLS_WAITING_MAX} isolated reads wait for a process already`
      throw new ColmenaError('ERR_BUSY', message, { retryable: true })
    }
    const job = new Job(call, this.#deadlines.timeoutMs, () => this.#leave(job))
    const abort = (): void => this.#end(job, abortedError(signal as AbortSignal))
    signal?.addEventListener('abort', abort, { once: true })
    this.#waiting.push(job)
    this.#deadlines.add(job)
    this.#handOut()
    try {
      return await job.answer
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Kills all of them; resolves when they are gone. What they did fails with `error`. */
  close(error: unknown): Promise<void> {
    this.#closedBy ??= error
    const waiting = this.#waiting
    this.#waiting = []
    for (const job of waiting) {
      this.#deadlines.remove(job)
      job.fail(error)
    }
    for (const slot of this.#slots) {
      slot.job?.fail(error)
      this.#kill(slot, error)
    }
    if (this.#slots.size === 0) this.#gone.resolve()
    return this.#gone.promise
  }

  #handOut(): void {
    for (;;) {
      const job = this.#next()
      const slot = job === undefined ? undefined : this.#idle.pop()
      if (job === undefined || slot === undefined) break
      this.#leave(job)
      this.#begin(slot, job)
    }
    const starting = [...this.#slots].filter(({ isReady }) => !isReady).length
    let wanted = this.#waiting.length - starting
    while (wanted > 0 && this.#slots.size < PROCESSES_MAX) {
      this.#start()
      wanted -= 1
    }
    this.#makeRoom()
  }

  /** The first that waits and may begin. */
  #next(): Job | undefined {
    const mayCopy = this.#long().length < LONG_MAX
    return this.#waiting.find((job) => mayCopy || !job.isCopy)
  }

  #long(): Slot[] {
    return [...this.#slots].filter(({ isLong }) => isLong)
  }

  /** Where reads wait and all processes are busy for long, one is killed: that of a read, as copies
   * never have all. */
  #makeRoom(): void {
    const long = this.#long().filter(({ endedBy }) => endedBy === undefined)
    if (long.length <= LONG_MAX || this.#waiting.every(({ isCopy }) => isCopy)) return
    const reads = long.filter(({ job }) => !job?.isCopy)
    const youngest = reads.reduce((a, b) => (a.beganMs >= b.beganMs ? a : b))
    const message =
      `the read was ended after ${LONG_MS_MIN} ms or more: ${LONG_MAX} others were long ` +
      'as well, and shorter ones waited. Repeat it when there is less to do'
    this.#kill(youngest, new ColmenaError('ERR_BUSY', message, { retryable: true }))
  }

  #start(): void {
    const slot: Slot = {
      child: this.#startChild(this.source, {
        said: (answer) => this.#said(slot, answer),
        ended: (how) => this.#ended(slot, how),
      }),
      isReady: false,
      job: null,
      isLong: false,
      beganMs: 0,
      generation: 0,
      timer: null,
      endedBy: undefined,
    }
    this.#slots.add(slot)
  }

  #begin(slot: Slot, job: Job): void {
    if (slot.timer !== null) clearTimeout(slot.timer)
    slot.job = job
    slot.isLong = job.isCopy
    slot.beganMs = performance.now()
    const { timeoutMs, timedOut } = job.call
    const stop = (): void => this.#kill(slot, timedOut())
    const becomeLong = (): void => {
      slot.isLong = true
      slot.timer = setTimeout(stop, timeoutMs - LONG_MS_MIN)
      this.#makeRoom()
    }
    slot.timer =
      timeoutMs > LONG_MS_MIN ? setTimeout(becomeLong, LONG_MS_MIN) : setTimeout(stop, timeoutMs)
    this.#send(slot, job)
  }

  #send(slot: Slot, job: Job): void {
    const view = this.#shared.readStorage()
    const { asked, work } = job.call
    job.tries += 1
    slot.generation = view.generation
    slot.child.send({ asked, work, view })
  }

  #said(slot: Slot, answer: ReaderAnswer): void {
    if (slot.endedBy !== undefined) return
    if (answer.kind === 'ready') {
      slot.isReady = true
    } else {
      const job = slot.job as Job
      const isStale = slot.generation !== this.#shared.generation()
      if (isStale && job.tries < TRIES_MAX) {
        this.#send(slot, job)
        return
      }
      slot.job = null
      slot.isLong = false
      job.succeed(answer)
    }
    if (slot.timer !== null) clearTimeout(slot.timer)
    slot.timer = setTimeout(() => this.#kill(slot, null), IDLE_MS_MAX)
    this.#idle.push(slot)
    this.#handOut()
  }

  #ended(slot: Slot, how: string): void {
    this.#forget(slot)
    this.#slots.delete(slot)
    const error = new ColmenaError('ERR_FAILED', `a reader process ended by itself: ${how}`, {
      retryable: true,
    })
    // One that could not even start has no job: the first that waits for it learns why.
    const job = slot.job ?? (slot.isReady || slot.endedBy !== undefined ? null : this.#waiting[0])
    if (job) {
      this.#leave(job)
      job.fail(slot.endedBy ?? error)
    }
    if (this.#closedBy === undefined) this.#handOut()
    else if (this.#slots.size === 0) this.#gone.resolve()
  }

  /** Fails a job that waits at once, and one that runs when its process is gone. */
  #end(job: Job, error: ColmenaError): void {
    const slot = [...this.#slots].find((other) => other.job === job)
    if (slot !== undefined) {
      this.#kill(slot, error)
      return
    }
    this.#leave(job)
    job.fail(error)
  }

  #kill(slot: Slot, reason: unknown): void {
    if (slot.endedBy !== undefined) return
    slot.endedBy = reason
    this.#forget(slot)
    slot.child.kill()
  }

  #forget(slot: Slot): void {
    if (slot.timer !== null) clearTimeout(slot.timer)
    slot.timer = null
    this.#idle = this.#idle.filter((other) => other !== slot)
  }

  #leave(job: Job): void {
    this.#deadlines.remove(job)
    this.#waiting = this.#waiting.filter((other) => other !== job)
  }
}
