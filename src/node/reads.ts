import { ColmenaError } from '../base/errors.ts'
import type { Consistency } from './consistency.ts'
import { type Deadlines, Waiting } from './deadlines.ts'
import { abortedError } from './failures.ts'
import { OwnLeadership, type OwnLeadershipOptions } from './own-leadership.ts'

type AskedLevel = 'weak' | 'strong'

/** What a read asks for, its level settled. */
export interface AskedRead {
  readonly level: Consistency
  /** An index that must be applied here, whatever the level; undefined for none. */
  readonly after: number | undefined
  /** Of level `none` alone. */
  readonly maxStalenessMs: number | undefined
  readonly signal: AbortSignal | undefined
}

/** How a read is let through. */
export interface ReadPass {
  /** The level that its answer has: `weak` where a `lease` is over. */
  readonly level: Consistency
  /** null: read at once. Otherwise the read may run when the promise resolves. */
  readonly gate: Promise<void> | null
  /** Of `strong`: promises of votes stood for a majority's word, and must still at the end. */
  readonly isByLease?: boolean | undefined
}

/** Of an election timeout: so a clock that runs a tenth too slow still keeps a lease within one. */
const LEASE_PART = 0.9

export interface ReadsOptions extends OwnLeadershipOptions {
  readonly deadlines: Deadlines
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

  /** An index that it needs whatever the leader answers. */
  readonly after: number

  constructor(
    after: number,
    timeoutMs: number,
    haltedReason: () => string | null,
    settled: (wait: ReadWait) => void,
  ) {
    super()
    this.after = after
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

const AT_ONCE = Object.freeze({
  none: { level: 'none', gate: null },
  lease: { level: 'lease', gate: null },
  weak: { level: 'weak', gate: null },
  strong: { level: 'strong', gate: null, isByLease: true },
} satisfies Record<string, ReadPass>)

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
  readonly #leadership: OwnLeadership
  readonly #weak: Asking = { level: 'weak', asked: null, next: null }
  readonly #strong: Asking = { level: 'strong', asked: null, next: null }
  /** Reads whose index is known and not applied yet. */
  #behind: ReadWait[] = []
  #nextId = 1
  #watchesAll = false

  constructor(options: ReadsOptions) {
    this.#options = options
    this.#leadership = new OwnLeadership(options)
  }

  /** @throws ColmenaError ERR_STALE where this node's state is known to be too old by now. */
  enter(asked: AskedRead): ReadPass {
    const { level } = asked
    const applied = this.#options.shared.applied()
    const isBehind = applied < (asked.after ?? 0)
    if (level === 'none') {
      if (isBehind) return { level, gate: this.#awaitIndex(asked, 0) }
      this.#checkStaleness(asked, applied)
      return AT_ONCE.none
    }
    if (level === 'lease') {
      if (!isBehind && this.#isWithinLease(applied)) return AT_ONCE.lease
    } else if (level === 'strong') {
      return this.#enterStrong(asked, applied)
    }
    const commit = this.#leadership.commit()
    if (commit === null) {
      return { level: 'weak', gate: this.#join(this.#weak, this.#createWait(asked)) }
    }
    if (!isBehind && applied >= commit) return AT_ONCE.weak
    return { level: 'weak', gate: this.#awaitIndex(asked, commit) }
  }

  /**
   * To be called once an answer is there that contains `index`: null where it is what was asked
   * for, and else how to read again. Meanwhile a lease may have ended: a statement can take long,
   * and a process can sleep between two instructions.
   *
   * @throws ColmenaError ERR_STALE where there is nothing else to do.
   */
  leave(asked: AskedRead, { level, isByLease }: ReadPass, index: number): ReadPass | null {
    if (isByLease === true && !this.#leadership.isHeld()) return this.#askMajority(asked)
    if (level === 'none') this.#checkStaleness(asked, index)
    if (level !== 'lease' || this.#isWithinLease(index)) return null
    return this.enter({ ...asked, level: 'weak' })
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

  /** Where nobody else can lead, this node need ask nobody. */
  #enterStrong(asked: AskedRead, applied: number): ReadPass {
    const commit = this.#leadership.heldCommit()
    if (commit === null) return this.#askMajority(asked)
    if (applied >= Math.max(commit, asked.after ?? 0)) return AT_ONCE.strong
    return { level: 'strong', isByLease: true, gate: this.#awaitIndex(asked, commit) }
  }

  #askMajority(asked: AskedRead): ReadPass {
    return { level: 'strong', gate: this.#join(this.#strong, this.#createWait(asked)) }
  }

  #isWithinLease(index: number): boolean {
    return this.#stalenessMs(index) <= this.#options.electionTimeoutMs * LEASE_PART
  }

  #checkStaleness({ maxStalenessMs }: AskedRead, index: number): void {
    if (maxStalenessMs === undefined) return
    const stalenessMs = this.#stalenessMs(index)
    if (stalenessMs <= maxStalenessMs) return
    const age = stalenessMs === Infinity ? 'of unknown age' : `up to ${stalenessMs} ms old`
    throw new ColmenaError(
      'ERR_STALE',
      `what this node has applied is ${age}, and maxStalenessMs is ${maxStalenessMs}: read ` +
        "again, on another node, or at level 'weak', which asks the leader",
      { retryable: true },
    )
  }

  /**
   * How old a state that contains `index` can be: Infinity where nothing is known. The clock that
   * moved further counts, since one of them stands still while a machine sleeps.
   */
  #stalenessMs(index: number): number {
    const { shared, nowMs, wallMs } = this.#options
    const mark = shared.markWithin(index)
    if (mark === null) return Infinity
    return Math.ceil(Math.max(nowMs() - mark.atMs, wallMs() - mark.wallMs))
  }

  #createWait({ after, signal }: AskedRead): ReadWait {
    const { deadlines, haltedReason } = this.#options
    let abort: (() => void) | null = null
    const wait = new ReadWait(after ?? 0, deadlines.timeoutMs, haltedReason, () => {
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

  #join(asking: Asking, wait: ReadWait): Promise<void> {
    if (asking.next !== null) {
      asking.next.waits.push(wait)
      return wait.promise
    }
    asking.next = { id: this.#nextId, waits: [wait] }
    this.#nextId += 1
    // Asked in a microtask, so that the reads of one turn share the question.
    if (asking.asked === null) queueMicrotask(() => this.#askNext(asking))
    return wait.promise
  }

  #awaitIndex(asked: AskedRead, index: number): Promise<void> {
    const wait = this.#createWait(asked)
    this.#awaitApplied([wait], index)
    return wait.promise
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
      wait.index = Math.max(index, wait.after)
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
