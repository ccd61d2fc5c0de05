import { ColmenaError } from '../base/errors.ts'
import {
  type LeaseAnswer,
  type LeasePurpose,
  type LeaseRequest,
  leaseAnswer,
  leaseUnit,
} from '../command/command.ts'
import { leaseName, SYSTEM } from '../database/database.ts'
import { abortedError } from './failures.ts'
import type { CheckedLock } from './lease-options.ts'
import { Lock } from './lock.ts'
import { settlesWithin } from './patience.ts'
import type { Writes } from './writes.ts'

export interface LeasesOptions {
  readonly writes: Pick<Writes, 'submit'>
  readonly nowMs: () => number
  /** @throws ColmenaError once this node is closed. */
  readonly checkOpen: () => void
}

/** What a caller waits for, and how long. */
export interface Wanted {
  readonly purpose: LeasePurpose
  readonly key: string
  readonly ttlMs: number
  readonly waitMs: number
  readonly signal: AbortSignal | undefined
  /** Told each time that another has it. */
  readonly busy?: (() => void) | undefined
}

export type Obtained = Lock | Extract<LeaseAnswer, { what: 'kept' }>

/** The longest that a timer can wait. */
export const WAIT_MS_MAX: number = 2 ** 31 - 1
/** Callers on this node that wait for one lock; beyond, they are refused. */
const WAITING_MAX = 1024
/** Between two questions at least, beside those that an end of the lease brings. */
const ASK_AGAIN_MS_MIN = 20
const ALONE = Object.freeze({ index: 0, count: 1 })

/**
 * This node's leases. Requests go through the log as writes to the cluster's own database, so each
 * counts once, and the answers come from this node's own apply. Of those here that want one lease
 * only the first asks; it asks again when this node has applied the end of that lease, or when
 * that is due.
 */
export class Leases {
  readonly #options: LeasesOptions
  readonly #held = new Set<Lock>()
  readonly #queues = new Map<string, PromiseWithResolvers<void>[]>()
  readonly #wakers = new Map<string, PromiseWithResolvers<void>>()

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  /** @throws ColmenaError ERR_BUSY, ERR_ABORTED, and as any write. */
  async lock(key: string, { ttlMs, waitMs, signal }: CheckedLock): Promise<Lock> {
    return (await this.obtain({ purpose: 'lock', key, ttlMs, waitMs, signal })) as Lock
  }

  /** A lease that this node holds from here on, or the result that one of its kind came to. */
  async obtain(wanted: Wanted): Promise<Obtained> {
    const name = leaseName(wanted.purpose, wanted.key)
    const untilMs = this.#options.nowMs() + wanted.waitMs
    const queue = this.#queues.get(name) ?? []
    if (queue.length >= WAITING_MAX) {
      throw busy(wanted, `${WAITING_MAX} callers on this node wait for it already`)
    }
    const turn = Promise.withResolvers<void>()
    queue.push(turn)
    this.#queues.set(name, queue)
    if (queue.length === 1) turn.resolve()
    try {
      await this.#wait(turn.promise, Number.POSITIVE_INFINITY, untilMs, wanted)
      return await this.#ask(wanted, name, untilMs)
    } finally {
      queue.splice(queue.indexOf(turn), 1)
      if (queue.length === 0) this.#queues.delete(name)
      else queue[0]?.resolve()
    }
  }

  async send(request: LeaseRequest): Promise<LeaseAnswer> {
    const unit = leaseUnit(request)
    const submitted = { database: SYSTEM, unit, place: ALONE, signal: undefined }
    const { statements } = await this.#options.writes.submit(submitted)
    return leaseAnswer(statements[0])
  }

  /** This node has applied the end of leases. */
  ended(names: readonly string[]): void {
    for (const name of names) this.#wakers.get(name)?.resolve()
  }

  /** Ends of leases may have been missed. */
  wakeAll(): void {
    for (const waker of this.#wakers.values()) waker.resolve()
  }

  /** Before this node ends: others need not wait until its leases do. */
  async releaseAll(): Promise<void> {
    await Promise.allSettled([...this.#held].map((lock) => lock.release()))
  }

  /** This node has ended. */
  failAll(): void {
    for (const lock of this.#held) lock.lose('this node has ended')
    for (const queue of this.#queues.values()) for (const turn of queue) turn.resolve()
    this.wakeAll()
  }

  async #ask(wanted: Wanted, name: string, untilMs: number): Promise<Obtained> {
    const { nowMs } = this.#options
    for (;;) {
      // Before the question, so that no end after its answer is missed.
      const waker = Promise.withResolvers<void>()
      this.#wakers.set(name, waker)
      try {
        const sinceMs = nowMs()
        const answer = await this.#acquire(wanted)
        if (answer.what === 'kept') return answer
        if (answer.what === 'held') return this.#hold(wanted, answer.token, sinceMs)
        wanted.busy?.()
        const { leftMs, nodeId } = answer as Extract<LeaseAnswer, { what: 'busy' }>
        const againMs = nowMs() + Math.max(ASK_AGAIN_MS_MIN, leftMs)
        await this.#wait(waker.promise, againMs, untilMs, wanted, nodeId)
      } finally {
        this.#wakers.delete(name)
      }
    }
  }

  /** One that comes when its caller has gone is released again. */
  async #acquire({ purpose, key, ttlMs, signal }: Wanted): Promise<LeaseAnswer> {
    this.#options.checkOpen()
    if (signal?.aborted) throw abortedError(signal)
    const asked = this.send({ what: 'acquire', purpose, key, ttlMs })
    const answer = await settlesWithin(asked, WAIT_MS_MAX, signal)
    if (answer !== undefined) return answer
    void asked
      .then(async (late) => {
        if (late.what === 'held') await this.send({ what: 'release', token: late.token })
      })
      .catch(() => {})
    throw abortedError(signal as AbortSignal)
  }

  #hold({ key, ttlMs }: Wanted, token: number, sinceMs: number): Lock {
    const { nowMs } = this.#options
    const lock = new Lock({
      key,
      token,
      ttlMs,
      sinceMs,
      nowMs,
      send: (request) => this.send(request),
      ended: (ended) => this.#held.delete(ended),
    })
    this.#held.add(lock)
    return lock
  }

  /** Until `event` or `againMs`. @throws ColmenaError ERR_BUSY at `untilMs`, ERR_ABORTED */
  async #wait(
    event: Promise<void>,
    againMs: number,
    untilMs: number,
    wanted: Wanted,
    nodeId = '',
  ): Promise<void> {
    const { signal, waitMs } = wanted
    const { nowMs } = this.#options
    const happened = event.then(() => true)
    const delayMs = Math.max(0, Math.min(againMs, untilMs) - nowMs())
    const hasHappened = await settlesWithin(happened, Math.min(delayMs, WAIT_MS_MAX), signal)
    if (signal?.aborted) throw abortedError(signal)
    this.#options.checkOpen()
    if (hasHappened || againMs < untilMs) return
    const holder = nodeId === '' ? 'another caller' : `node ${nodeId}`
    throw busy(wanted, `${holder} has it, and did not let it go within ${waitMs} ms (waitMs)`)
  }
}

function busy({ purpose, key }: Wanted, why: string): ColmenaError {
  const what = purpose === 'lock' ? `the lock '${key}'` : `once '${key}'`
  return new ColmenaError('ERR_BUSY', `${what} can't be had: ${why}. Try again later`, {
    retryable: true,
  })
}
