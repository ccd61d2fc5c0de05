import type { Clock, Random } from '../base/ports.ts'
import type { MemberId, Raft, ReadState } from '../raft/raft.ts'
import type { ErrorMessage } from './protocol.ts'
import { decodeNumbers, encodeNumbers, FRAMES } from './wire.ts'

interface PendingRead {
  readonly id: number
  readonly level: 'weak' | 'strong'
  readonly sinceMs: number
  /** When this request was last put to a leader; 0: not yet. */
  askedMs: number
}

/** A follower's question that this leader can't answer before its own term's first commit. */
interface PendingQuery {
  readonly from: MemberId
  readonly number: number
}

export interface ReadRequestsOptions {
  readonly raft: Raft
  readonly clock: Clock
  readonly random: Random
  readonly electionTimeoutMs: number
  /** How long a read may wait for a leader. */
  readonly leaderWaitMs: number
  /** After this a question without an answer is asked again. */
  readonly askAgainMs: number
  /** After this nobody waits any more. */
  readonly requestTimeoutMs: number
  readonly sendControl: (to: MemberId, kind: number, body: Uint8Array) => boolean
  readonly answer: (id: number, index: number, error: ErrorMessage | null) => void
}

/** Bounds of what waits here; more is refused by not answering, and asked again. */
const QUERIES_MAX = 1_024

/**
 * Finds the index that a read must wait for: the leader's commit index (`weak`), or the same after
 * a quorum confirmed the leader (`strong`, ReadIndex). Answers only from a leader that committed in
 * its own term, because before that its commit index may lag behind what was acknowledged.
 */
export class ReadRequests {
  readonly #options: ReadRequestsOptions
  readonly #pending = new Map<number, PendingRead>()
  /** What was asked under which number; a new number per question, so no old answer fits. */
  readonly #asked = new Map<number, number>()
  #queries: PendingQuery[] = []
  #nextNumber: number
  #leaderlessSinceMs: number | null = null
  /** When this process was last seen at work, and whether it slept too long since it led. */
  #awakeMs: number
  #isDoubtful = false

  constructor(options: ReadRequestsOptions) {
    this.#options = options
    // Answers to questions of an earlier run of this node must fit none of this run's.
    this.#nextNumber = options.random.u32() * 0x1_0000 + 1
    this.#awakeMs = options.clock.nowMs()
  }

  /**
   * Whether this leader may have been deposed while it slept (a stopped process, a long pause):
   * until a quorum confirms it, it answers nobody from what it remembers.
   */
  get isDoubtful(): boolean {
    return this.#isDoubtful
  }

  /** To be called with every event, before anything is answered for it. */
  wake(): void {
    const { clock, raft, electionTimeoutMs } = this.#options
    const nowMs = clock.nowMs()
    const sleptMs = nowMs - this.#awakeMs
    this.#awakeMs = nowMs
    if (raft.role !== 'leader') this.#isDoubtful = false
    else if (sleptMs >= electionTimeoutMs) {
      this.#isDoubtful = true
      // Confirmations that were asked for before the sleep say nothing about it.
      this.#asked.clear()
      for (const read of this.#pending.values()) read.askedMs = 0
      this.#confirm()
    }
  }

  add(id: number, level: 'weak' | 'strong'): void {
    this.wake()
    const read: PendingRead = { id, level, sinceMs: this.#options.clock.nowMs(), askedMs: 0 }
    this.#pending.set(id, read)
    this.#ask(read)
  }

  /** Another leader or term: every answer to an old question is void. */
  leaderChanged(): void {
    this.#asked.clear()
    this.#queries = []
    this.#isDoubtful = false
    for (const read of this.#pending.values()) {
      read.askedMs = 0
      this.#ask(read)
    }
  }

  /** A follower asks for the commit index. */
  query(from: MemberId, body: Uint8Array): void {
    const [number] = decodeNumbers(body, 1) as [number]
    if (this.#queries.length < QUERIES_MAX) this.#queries.push({ from, number })
    this.answerQueries()
  }

  /** The leader answered one of our questions. */
  queryAnswered(from: MemberId, body: Uint8Array): void {
    const [number, term, commit] = decodeNumbers(body, 3) as [number, number, number]
    const { raft } = this.#options
    if (from === raft.leader && term === raft.term) this.#answered(number, commit)
  }

  readStates(states: readonly ReadState[]): void {
    for (const { index, context } of states) {
      const [number] = decodeNumbers(context, 1) as [number]
      if (this.#asked.has(number)) this.#isDoubtful = false
      this.#answered(number, index)
    }
  }

  /** To be called when the leader may have committed in its own term, or lost its role. */
  answerQueries(): void {
    const { raft, sendControl } = this.#options
    if (raft.role !== 'leader') {
      this.#queries = []
      return
    }
    if (!raft.committedInOwnTerm || this.#isDoubtful) return
    for (const { from, number } of this.#queries) {
      sendControl(from, FRAMES.commitAnswer, encodeNumbers(number, raft.term, raft.commit))
    }
    this.#queries = []
    for (const read of this.#pending.values()) {
      if (read.level === 'weak') this.#finish(read, raft.commit)
    }
  }

  /** Asks again what got lost, and ends what waits for a leader in vain. */
  tick(): void {
    const { clock, raft, askAgainMs, leaderWaitMs, requestTimeoutMs } = this.#options
    const nowMs = clock.nowMs()
    if (raft.leader !== 0) this.#leaderlessSinceMs = null
    else this.#leaderlessSinceMs ??= nowMs
    for (const read of this.#pending.values()) {
      const waitedMs = nowMs - read.sinceMs
      if (waitedMs > requestTimeoutMs) this.#pending.delete(read.id)
      else if (this.#leaderlessSinceMs !== null && waitedMs > leaderWaitMs) this.#giveUp(read)
      else if (nowMs - read.askedMs > askAgainMs) this.#ask(read)
    }
    if (this.#isDoubtful) this.#confirm()
    else if (this.#pending.size === 0) this.#asked.clear()
  }

  /** A read of nobody's, whose answer tells that this node still leads. */
  #confirm(): void {
    const number = this.#nextNumber
    this.#nextNumber += 1
    if (this.#options.raft.readIndex(encodeNumbers(number)) === 'ok') this.#asked.set(number, 0)
  }

  #ask(read: PendingRead): void {
    const { raft, clock, sendControl } = this.#options
    if (raft.leader === 0) return
    const number = this.#nextNumber
    this.#nextNumber += 1
    const question = encodeNumbers(number)
    if (read.level === 'strong') {
      if (raft.readIndex(question) !== 'ok') return
    } else if (raft.role === 'leader') {
      this.answerQueries()
      return
    } else if (!sendControl(raft.leader, FRAMES.commitQuery, question)) {
      return
    }
    read.askedMs = clock.nowMs()
    this.#asked.set(number, read.id)
  }

  #answered(number: number, index: number): void {
    const id = this.#asked.get(number)
    if (id === undefined) return
    this.#asked.delete(number)
    const read = this.#pending.get(id)
    if (read !== undefined) this.#finish(read, index)
  }

  #finish(read: PendingRead, index: number): void {
    this.#pending.delete(read.id)
    this.#options.answer(read.id, index, null)
  }

  #giveUp(read: PendingRead): void {
    this.#pending.delete(read.id)
    this.#options.answer(read.id, 0, {
      code: 'ERR_NO_LEADER',
      message:
        `no leader was found within ${this.#options.leaderWaitMs} ms for a ${read.level} read. ` +
        "Is a majority of the voters running and reachable? Level 'none' reads without a leader",
      retryable: true,
      outcome: 'not-applied',
    })
  }
}
