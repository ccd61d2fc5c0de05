import type { Cancel, Clock, Random } from '../base/ports.ts'
import { encodeHashContent } from '../command/command.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import type { HashQuestion, HashResult, Table } from './comparing-wire.ts'
import type { Held } from './judging.ts'
import type { Applier, HashedContent } from './ports.ts'

/** Results that are kept for whoever asked; a question more pushes the oldest out. */
const RESULTS_MAX = 16
const POLL_MS = 100
/** A member that can't be reached for so long is left out. */
const SILENCE_MS_MAX = 10_000

export interface VerifyingOptions {
  readonly raft: Pick<Raft, 'id'>
  readonly applier: Pick<Applier, 'expectHash'>
  readonly clock: Clock
  readonly random: Random
  /** The other members. */
  readonly members: () => readonly MemberId[]
  readonly ask: (
    to: MemberId,
    question: HashQuestion,
    done: (error: Error | null, result: HashResult) => void,
  ) => void
  /** Takes a command towards the log; losing it is fine, it is sent again. */
  readonly propose: (bytes: Uint8Array) => void
  readonly proposeAgainMs: number
}

/** What all members hold, or why it is not known of one. */
export interface Verified {
  readonly table: Table
  readonly errors: ReadonlyMap<MemberId, string>
}

type Step = 'expecting' | 'proposing' | 'gathering'

/** A question that this node asks all members. */
interface Run {
  readonly key: string
  readonly deadlineMs: number
  readonly done: (verified: Verified) => void
  /** Members whose answer to the present question is on its way. */
  readonly waiting: Set<MemberId>
  /** Members that will hash at the entry. */
  readonly expecting: Set<MemberId>
  readonly results: Map<MemberId, NonNullable<HashResult>>
  readonly errors: Map<MemberId, string>
  readonly silentSinceMs: Map<MemberId, number>
  step: Step
  proposedMs: number
}

/**
 * Asks all members for a hash of all content at one index. An entry of the log names the place, so
 * that nobody need stand still for it; who is to hash there was told before, so that a replay does
 * not hash again. A member that is behind answers when it gets there.
 */
export class Verifying {
  readonly #options: VerifyingOptions
  readonly #results = new Map<string, HashResult>()
  #run: Run | null = null
  #cancelPoll: Cancel = () => {}

  constructor(options: VerifyingOptions) {
    this.#options = options
  }

  /** One at a time; `done` is called at the latest after `timeoutMs`. False while one runs. */
  start(timeoutMs: number, done: (verified: Verified) => void): boolean {
    if (this.#run !== null) return false
    const { clock } = this.#options
    const run: Run = {
      key: this.#makeKey(),
      deadlineMs: clock.nowMs() + timeoutMs,
      done,
      waiting: new Set(),
      expecting: new Set(),
      results: new Map(),
      errors: new Map(),
      silentSinceMs: new Map(),
      step: 'expecting',
      proposedMs: Number.NEGATIVE_INFINITY,
    }
    this.#run = run
    this.#expect(run.key)
    this.#poll()
    return true
  }

  /** Another member's question. */
  asked({ kind, key }: HashQuestion): { readonly isKnown: boolean; readonly result: HashResult } {
    if (kind === 'expect') this.#expect(key)
    const result = this.#results.get(key)
    return { isKnown: result !== undefined, result: result ?? null }
  }

  /** This node's own databases are hashed. */
  hashed({ key, index, hashes, error }: HashedContent): void {
    if (this.#results.has(key)) this.#results.set(key, { index, held: hashes, error: error ?? '' })
  }

  close(): void {
    this.#cancelPoll()
  }

  /** Asked twice, it is expected once: the entry may have passed meanwhile. */
  #expect(key: string): void {
    if (this.#results.has(key)) return
    const [oldest] = this.#results.keys()
    if (this.#results.size >= RESULTS_MAX && oldest !== undefined) this.#results.delete(oldest)
    this.#results.set(key, null)
    this.#options.applier.expectHash(key)
  }

  #poll(): void {
    const { clock } = this.#options
    const run = this.#run
    if (run === null) return
    if (clock.nowMs() >= run.deadlineMs) this.#end(run)
    else this.#advance(run)
    if (this.#run !== null) this.#cancelPoll = clock.setTimer(POLL_MS, () => this.#poll())
  }

  #advance(run: Run): void {
    const { raft, members } = this.#options
    const own = this.#results.get(run.key)
    if (run.step === 'expecting') {
      const left = members().filter((id) => !run.expecting.has(id) && !run.errors.has(id))
      if (left.length === 0) run.step = 'proposing'
      for (const id of left) this.#ask(run, id, 'expect')
    }
    if (run.step === 'proposing' && own == null) this.#propose(run)
    if (run.step === 'proposing' && own != null) {
      run.step = 'gathering'
      this.#take(run, raft.id, own)
    }
    if (run.step !== 'gathering') return
    const left = members().filter((id) => !run.results.has(id) && !run.errors.has(id))
    if (left.length === 0) this.#end(run)
    for (const id of left) this.#ask(run, id, 'result')
  }

  #propose(run: Run): void {
    const { clock, propose, proposeAgainMs } = this.#options
    if (clock.nowMs() - run.proposedMs < proposeAgainMs) return
    run.proposedMs = clock.nowMs()
    propose(encodeHashContent(run.key))
  }

  #ask(run: Run, id: MemberId, kind: HashQuestion['kind']): void {
    if (run.waiting.has(id)) return
    run.waiting.add(id)
    this.#options.ask(id, { kind, key: run.key }, (error, result) => {
      run.waiting.delete(id)
      if (error !== null) {
        this.#silent(run, id, error)
        return
      }
      run.silentSinceMs.delete(id)
      run.expecting.add(id)
      if (result !== null) this.#take(run, id, result)
    })
  }

  #silent(run: Run, id: MemberId, error: Error): void {
    const nowMs = this.#options.clock.nowMs()
    const sinceMs = run.silentSinceMs.get(id) ?? nowMs
    run.silentSinceMs.set(id, sinceMs)
    if (nowMs - sinceMs > SILENCE_MS_MAX) run.errors.set(id, error.message)
  }

  #take(run: Run, id: MemberId, result: NonNullable<HashResult>): void {
    if (result.held === null) run.errors.set(id, result.error)
    else run.results.set(id, result)
  }

  #end(run: Run): void {
    const { raft, members } = this.#options
    this.#run = null
    const index = run.results.get(raft.id)?.index ?? 0
    const rows = new Map<MemberId, Held>()
    for (const id of [raft.id, ...members()]) {
      const result = run.results.get(id)
      if (result?.held != null && result.index === index) rows.set(id, result.held)
      else if (result !== undefined) run.errors.set(id, 'it was hashed at another index')
      else if (!run.errors.has(id)) run.errors.set(id, 'it did not answer in time')
    }
    run.done({ table: { kind: 'content', index, rows }, errors: run.errors })
  }

  #makeKey(): string {
    const { random } = this.#options
    return Array.from({ length: 4 }, () => random.u32().toString(16).padStart(8, '0')).join('')
  }
}
