import { ColmenaError } from '../base/errors.ts'
import type { SharedState } from '../base/shared-state.ts'
import type { Consistency } from './consistency.ts'
import { type Deadlines, Waiting } from './deadlines.ts'
import { abortedError } from './failures.ts'

type AskedLevel = Exclude<Consistency, 'none'>

export interface ReadsOptions {
  readonly shared: SharedState
  readonly deadlines: Deadlines
  readonly electionTimeoutMs: number
  /** The clock that the engine stamps the shared state with. */
  readonly nowMs: () => number
  /** Why this machine applies nothing, null while it does. */
  readonly haltedReason: () => string | null
  /** Asks the engine for the index that satisfies `level`. */
  readonly ask: (id: number, level: AskedLevel) => void
}

/** One read that has to wait, for an index first and then until it is applied. */
class ReadWait extends Waiting {
  readonly promise: Promise<void>
  readonly #timeoutMs: number
  readonly #haltedReason: () => string | null
  readonly #settled: (wait: ReadWait) => void
  #resolve: () => void = () => {}
  #reject: (error: ColmenaError) => void = () => {}
  isSettled = false
  /** The index that must be applied; 0 until it is known. */
  index = 0

  constructor(
    timeoutMs: number,
    haltedReason: () => string | null,
    settled: (wait: ReadWait) => void,
  ) {
    super()
    this.#timeoutMs = timeoutMs
    this.#haltedReason = haltedReason
    this.#settled = settled
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  override expire(): void {
    const what =
      this.index === 0
        ? 'the leader did not answer'
        : `index ${this.index}, which it needs, was not applied on this node`
    const message = `the read was given up: ${what} in ${this.#timeoutMs} ms`
    const halted = this.index === 0 ? null : this.#haltedReason()
    this.fail(
      halted === null
        ? new ColmenaError('ERR_TIMEOUT', message, { retryable: true })
        : new ColmenaError('ERR_APPLY_HALTED', `${message}: ${halted}`, { retryable: true }),
    )
  }

  succeed(): void {
    if (this.isSettled) return
    this.isSettled = true
    this.#settled(this)
    this.#resolve()
  }

  fail(error: ColmenaError): void {
    if (this.isSettled) return
    this.isSettled = true
    this.#settled(this)
    this.#reject(error)
  }
}

/** Reads that share one question to the leader: all of them began before it was asked. */
interface Round {
  readonly id: number
  waits: ReadWait[]
}

/** Per level: the question under way, and who needs a later one. */
interface Asking {
  readonly level: AskedLevel
  asked: Round | null
  next: Round | null
}

/**
 * Lets a read through once what its level demands is true. The leader's index is asked for once
 * per round of reads, and a read never shares a question that was asked before it began: that
 * answer may miss a write that was acknowledged in between.
 */
export class Reads {
  readonly #options: ReadsOptions
  readonly #weak: Asking = { level: 'weak', asked: null, next: null }
  readonly #strong: Asking = { level: 'strong', asked: null, next: null }
  /** Reads whose index is known and not applied yet. */
  #behind: ReadWait[] = []
  #nextId = 1
  #watchesAll = false

  constructor(options: ReadsOptions) {
    this.#options = options
  }

  /** null: read at once. Otherwise the read may run when the promise resolves. */
  enter(level: Consistency, signal: AbortSignal | undefined): Promise<void> | null {
    if (level === 'none') return null
    if (level === 'weak') {
      const commit = this.#leaderCommit()
      if (commit !== null) {
        if (this.#options.shared.applied() >= commit) return null
        const wait = this.#createWait(signal)
        this.#awaitApplied([wait], commit)
        return wait.promise
      }
    }
    const wait = this.#createWait(signal)
    this.#join(level === 'weak' ? this.#weak : this.#strong, wait)
    return wait.promise
  }

  /** The engine's answer to `ask`; an answer that nobody waits for any more is nothing. */
  answered(id: number, index: number, error: ColmenaError | null): void {
    const asking = [this.#weak, this.#strong].find(({ asked }) => asked?.id === id)
    const round = asking?.asked
    if (asking === undefined || !round) return
    asking.asked = null
    if (error !== null) for (const wait of round.waits) wait.fail(error)
    else this.#awaitApplied(round.waits, index)
    this.#askNext(asking)
  }

  /** The storage thread applied up to `applied`. */
  applied(applied: number): void {
    const behind = this.#behind
    if (behind.length === 0) return
    this.#behind = behind.filter((wait) => !wait.isSettled && wait.index > applied)
    for (const wait of behind) if (wait.index <= applied) wait.succeed()
    this.#publishWaited()
  }

  /** Whether every step of the applied index is to be told, as listeners want it. */
  watchAll(watchesAll: boolean): void {
    this.#watchesAll = watchesAll
    this.#publishWaited()
  }

  failAll(error: ColmenaError): void {
    const waits = [...this.#behind]
    this.#behind = []
    for (const asking of [this.#weak, this.#strong]) {
      waits.push(...(asking.asked?.waits ?? []), ...(asking.next?.waits ?? []))
      asking.asked = null
      asking.next = null
    }
    for (const wait of waits) wait.fail(error)
  }

  /**
   * The commit index as this node knows it for certain, because it leads: its own term has
   * committed (before that the index may lag), and its engine is alive.
   */
  #leaderCommit(): number | null {
    const { shared, electionTimeoutMs, nowMs } = this.#options
    const view = shared.readEngine()
    if (!view.isLeader || !view.ownTermCommitted || view.isClosed) return null
    return nowMs() - view.stampMs < electionTimeoutMs ? view.commit : null
  }

  #createWait(signal: AbortSignal | undefined): ReadWait {
    const { deadlines, haltedReason } = this.#options
    let abort: (() => void) | null = null
    const wait = new ReadWait(deadlines.timeoutMs, haltedReason, () => {
      deadlines.remove(wait)
      if (abort !== null) signal?.removeEventListener('abort', abort)
      this.#dropEmptyRounds()
    })
    deadlines.add(wait)
    if (signal !== undefined) {
      abort = () => wait.fail(abortedError(signal))
      signal.addEventListener('abort', abort, { once: true })
    }
    return wait
  }

  #join(asking: Asking, wait: ReadWait): void {
    if (asking.next !== null) {
      asking.next.waits.push(wait)
      return
    }
    asking.next = { id: this.#nextId, waits: [wait] }
    this.#nextId += 1
    // Asked in a microtask, so that the reads of one turn share the question.
    if (asking.asked === null) queueMicrotask(() => this.#askNext(asking))
  }

  #askNext(asking: Asking): void {
    const round = asking.next
    if (round === null || asking.asked !== null) return
    asking.next = null
    round.waits = round.waits.filter((wait) => !wait.isSettled)
    if (round.waits.length === 0) return
    asking.asked = round
    this.#options.ask(round.id, asking.level)
  }

  /** A question that was lost must not keep the ones after it from being asked. */
  #dropEmptyRounds(): void {
    for (const asking of [this.#weak, this.#strong]) {
      const { asked } = asking
      if (asked === null || asked.waits.some((wait) => !wait.isSettled)) continue
      asking.asked = null
      this.#askNext(asking)
    }
  }

  #awaitApplied(waits: readonly ReadWait[], index: number): void {
    for (const wait of waits) {
      if (wait.isSettled) continue
      wait.index = index
      this.#behind.push(wait)
    }
    // Published first and looked at afterwards: the storage thread does it the other way round, so
    // one of the two always sees the other.
    this.#publishWaited()
    this.applied(this.#options.shared.applied())
  }

  #publishWaited(): void {
    let least: number | null = this.#watchesAll ? 0 : null
    for (const wait of this.#behind) {
      if (least === null || wait.index < least) least = wait.index
    }
    this.#options.shared.setWaitedIndex(least)
  }
}
