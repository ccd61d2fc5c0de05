import { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import { encodeVoid, routedWrite } from '../command/command.ts'
import type { Log } from '../log/log.ts'
import type { Entry, MemberId, Raft } from '../raft/raft.ts'
import type { Applier, Hold, Quarantine } from './ports.ts'
import type { SkipOrder, SkipStand } from './skip-wire.ts'
import type { LeaderAnswer } from './wire.ts'

/** How much of the log is looked at in one go. */
const LOOK_BYTES_MAX = 4 * 1024 * 1024
const LOOK_AGAIN_MS = 20
const RELEASE_AGAIN_MS = 1_000
const ELSEWHERE: LeaderAnswer = { kind: 'elsewhere', address: '' }

export interface SkippingOptions {
  readonly raft: Pick<Raft, 'role' | 'term' | 'commit' | 'committedInOwnTerm' | 'propose'>
  readonly log: Pick<Log, 'entries' | 'load'>
  readonly applier: Pick<Applier, 'voidEntry' | 'holdEntry' | 'releaseEntry'>
  readonly clock: Clock
  /** The last entry that was void when this node was opened, 0 for none. */
  readonly lastVoid: number
  /** How long the leader waits until what was agreed on is applied here. */
  readonly waitMs: number
  readonly applied: () => number
  /** All members but this one, by id, with the names of their nodes. */
  readonly others: () => ReadonlyMap<MemberId, string>
  readonly isConnected: (id: MemberId) => boolean
  readonly ownNodeId: string
  /** Has a member stay where it stands at an entry. */
  readonly ask: (
    id: MemberId,
    hold: Hold,
    done: (error: Error | null, stand: SkipStand | null) => void,
  ) => void
  /** Has a member go on as before; `done` says whether it has heard. */
  readonly release: (id: MemberId, hold: Hold, done: (isHeard: boolean) => void) => void
  readonly schedule: () => void
}

/**
 * Entries that no member can apply. A write that killed this process twice is not tried again, and
 * one that met other trouble is not from when a leader asks: it waits for an entry further on in
 * the log which says that the write is void, and of which the databases are told before they go on.
 * The leader proposes one only where every member stands still at that write: none has applied it,
 * and none will. Where it proposes none, whoever was not quarantined goes on to try it: once it has
 * heard so, or once the log has an entry of a later leader, as nothing that the one who asked has
 * proposed can come behind that.
 */
export class Skipping {
  readonly #options: SkippingOptions
  #isHalted = false
  #quarantine: Quarantine | null = null
  /** Committed entries up to here don't make it void, and the term of the last of them. */
  #looked = { upTo: 0, term: 0 }
  /** The newest word of a leader that nothing comes of what it asked. */
  #released: Hold | null = null
  /** On the leader: who has not heard yet, and when to say it again. */
  readonly #unheard = new Map<MemberId, { readonly hold: Hold; againMs: number }>()
  #isLoading = false
  #isDeciding = false
  #round = 0
  /** What this node had skipped as a leader, and in which term: it may be agreed on later. */
  #proposed = { index: 0, term: 0 }
  #lastVoid: number

  constructor(options: SkippingOptions) {
    this.#options = options
    this.#lastVoid = options.lastVoid
  }

  /** The last entry that the databases pass over, 0 for none. */
  get lastVoid(): number {
    return this.#lastVoid
  }

  /** Where this node stands, and stays until it hears more. */
  stay(hold: Hold, done: (stand: SkipStand) => void): void {
    const { applier, applied, raft } = this.#options
    const isOver = hold.term < raft.term || !isNewer(hold, this.#released)
    // Who applies may be at an entry that never ends: then its databases would not answer.
    if (this.#isHalted && !isOver) {
      applier.holdEntry(hold, (quarantine) => {
        if (this.#quarantine?.index === quarantine?.index) this.#quarantine = quarantine
        done({ applied: applied(), quarantine })
      })
    } else {
      done({ applied: applied(), quarantine: null })
    }
  }

  /** Nothing came of what this node was asked to stay for. */
  release(hold: Hold): void {
    if (isNewer(hold, this.#released)) this.#released = hold
    this.#options.applier.releaseEntry(hold)
  }

  /** The storage side stands still, and for good at that entry; null: at none. */
  halted(isHalted: boolean, quarantine: Quarantine | null): void {
    this.#isHalted = isHalted
    if (quarantine?.index !== this.#quarantine?.index) {
      this.#looked = { upTo: quarantine?.index ?? 0, term: 0 }
    }
    this.#quarantine = quarantine
  }

  tick(): void {
    this.#look()
    this.#releaseOthers()
  }

  /** Reads ahead of what is applied, as it can't go on without. */
  #look(): void {
    const { raft, log, applier } = this.#options
    if (this.#quarantine === null || this.#isLoading) return
    const { index, hold } = this.#quarantine
    const wanted = Buffer.from(encodeVoid(index))
    while (this.#looked.upTo < raft.commit) {
      const [from, to] = [this.#looked.upTo + 1, raft.commit + 1]
      const found = log.entries(from, to, LOOK_BYTES_MAX)
      if (found === 'unavailable') {
        this.#load(from, to)
        return
      }
      // What is compacted is in the databases: then they don't wait for it.
      if (found === 'compacted' || found.length === 0) return
      if (found.some(({ type, data }) => type === 'normal' && wanted.equals(data))) {
        applier.voidEntry(index)
        this.#lastVoid = Math.max(this.#lastVoid, index)
      }
      const last = found.at(-1) as Entry
      this.#looked = { upTo: last.index, term: last.term }
    }
    if (hold === null || this.#lastVoid === index || this.#looked.term <= hold.term) return
    if (isNewer(hold, this.#released)) this.release(hold)
  }

  #releaseOthers(): void {
    const { raft, clock, others, release } = this.#options
    const members = others()
    for (const [id, waiting] of this.#unheard) {
      const { hold } = waiting
      // Members see by themselves that a term is over.
      const isOver = raft.role !== 'leader' || raft.term !== hold.term || !members.has(id)
      if (isOver) this.#unheard.delete(id)
      if (isOver || clock.nowMs() < waiting.againMs) continue
      waiting.againMs = Number.POSITIVE_INFINITY
      release(id, hold, (isHeard) => {
        if (this.#unheard.get(id) !== waiting) return
        if (isHeard) this.#unheard.delete(id)
        else waiting.againMs = clock.nowMs() + RELEASE_AGAIN_MS
      })
    }
  }

  /** On the leader: `reply` is called once. */
  skip(order: SkipOrder, reply: (answer: LeaderAnswer) => void): void {
    const { raft, applied } = this.#options
    const { index } = order
    const refuse = (reason: string): void =>
      reply({ kind: 'refused', error: refused(index, reason) })
    if (raft.role !== 'leader' || !raft.committedInOwnTerm || this.#isDeciding) {
      reply(ELSEWHERE)
    } else if (index > raft.commit) {
      refuse(`the log is committed up to entry ${raft.commit}, so nobody was to apply it yet`)
    } else if (index <= applied()) {
      refuse('the leader has applied it')
    } else {
      this.#isDeciding = true
      this.#entryAt(index, (entry) => {
        const answer = (value: LeaderAnswer): void => {
          this.#isDeciding = false
          reply(value)
        }
        const no = (reason: string): void =>
          answer({ kind: 'refused', error: refused(index, reason) })
        if (entry === null) no('the leader could not read it')
        else if (!isWrite(entry)) no('it is no write, and only writes can be skipped')
        else this.#decide(order, answer)
      })
    }
  }

  /** Whoever can be asked is asked: it may have applied the entry, and would differ for ever. */
  #whyNotWithout(without: readonly string[]): string | null {
    const { others, isConnected } = this.#options
    const members = [...others()]
    for (const name of without) {
      const [id] = members.find(([, nodeId]) => nodeId === name) ?? []
      if (id === undefined) return `there is no other member '${name}' to do without`
      if (isConnected(id)) return `'${name}' is connected: stop it, if it is to be done without`
    }
    return null
  }

  #decide(order: SkipOrder, reply: (answer: LeaderAnswer) => void): void {
    const { ownNodeId, raft } = this.#options
    const wrong = this.#whyNotWithout(order.without)
    if (wrong !== null) {
      reply({ kind: 'refused', error: refused(order.index, wrong) })
      return
    }
    this.#round += 1
    const hold: Hold = { index: order.index, term: raft.term, round: this.#round }
    this.stay(hold, (stand) => {
      const reason = whyNotThere(order.index, stand)
      if (reason !== null) {
        const error = refused(order.index, `${ownNodeId} ${reason}`)
        reply({ kind: 'refused', error })
        return
      }
      // It may be decided: by an earlier leader, whose entry is to be read yet, or by this one.
      this.#look()
      const { index, term } = this.#proposed
      const isDecided =
        this.#lastVoid === hold.index || (index === hold.index && term === raft.term)
      if (isDecided) this.#awaitApplied(hold.index, reply)
      else if (this.#looked.upTo < raft.commit) reply(ELSEWHERE)
      else this.#askOthers(hold, stand, order.without, reply)
    })
  }

  /** Nothing is decided yet, and only this leader can, as long as it leads. */
  #askOthers(
    hold: Hold,
    own: SkipStand,
    without: readonly string[],
    reply: (answer: LeaderAnswer) => void,
  ): void {
    const { others, ownNodeId, raft, ask, clock } = this.#options
    const asked = [...others()].filter(([, name]) => !without.includes(name))
    const stands = new Map<string, SkipStand | Error>()
    const answered = (name: string, stand: SkipStand | Error): void => {
      stands.set(name, stand)
      if (stands.size <= asked.length) return
      const reason = whyNot(hold.index, stands)
      const isLeader = raft.role === 'leader' && raft.term === hold.term
      if (reason === null && isLeader && this.#propose(hold)) {
        this.#awaitApplied(hold.index, reply)
        return
      }
      this.release(hold)
      for (const [id] of asked) this.#unheard.set(id, { hold, againMs: clock.nowMs() })
      this.#releaseOthers()
      if (reason === null || !isLeader) reply(ELSEWHERE)
      else reply({ kind: 'refused', error: refused(hold.index, reason) })
    }
    for (const [id, name] of asked) {
      ask(id, hold, (error, stand) => answered(name, stand ?? error ?? new Error('no answer')))
    }
    answered(ownNodeId, own)
  }

  #propose({ index, term }: Hold): boolean {
    const { raft, schedule } = this.#options
    if (raft.propose([encodeVoid(index)]) !== 'ok') return false
    this.#proposed = { index, term }
    schedule()
    return true
  }

  #awaitApplied(index: number, reply: (answer: LeaderAnswer) => void): void {
    const { clock, applied, waitMs } = this.#options
    const deadlineMs = clock.nowMs() + waitMs
    const look = (): void => {
      if (applied() >= index) reply({ kind: 'done' })
      else if (clock.nowMs() < deadlineMs) clock.setTimer(LOOK_AGAIN_MS, look)
      else reply({ kind: 'refused', error: undecided(index) })
    }
    look()
  }

  #entryAt(index: number, done: (entry: Entry | null) => void): void {
    const { log } = this.#options
    log.load(index, index + 1, LOOK_BYTES_MAX, () => {
      const found = log.entries(index, index + 1, LOOK_BYTES_MAX)
      done(typeof found === 'string' ? null : (found[0] ?? null))
    })
  }

  #load(from: number, to: number): void {
    this.#isLoading = true
    this.#options.log.load(from, to, LOOK_BYTES_MAX, () => {
      // What could not be read is asked for again.
      this.#isLoading = false
    })
  }
}

/** Whether that was asked later than this. */
function isNewer({ term, round }: Hold, than: Hold | null): boolean {
  return than === null || term > than.term || (term === than.term && round > than.round)
}

function isWrite({ type, data }: Entry): boolean {
  if (type !== 'normal' || data.length === 0) return false
  try {
    return routedWrite(data)?.kind === 'write'
  } catch {
    // What can't be read is for apply to refuse.
    return false
  }
}

/** Why an entry can't be void while members stand like this; null if it can. */
function whyNot(index: number, stands: ReadonlyMap<string, SkipStand | Error>): string | null {
  const reasons = [...stands].flatMap(([name, stand]) => {
    const reason = whyNotThere(index, stand)
    return reason === null ? [] : [`${name} ${reason}`]
  })
  if (reasons.length > 0) return reasons.join('; ')
  const begun = [...stands.values()].map((stand) => {
    return stand instanceof Error ? 0 : (stand.quarantine?.unitsDone ?? 0)
  })
  if (new Set(begun).size === 1) return null
  return `members have begun it and are not equally far: ${begun.join(', ')} parts are done`
}

function whyNotThere(index: number, stand: SkipStand | Error): string | null {
  if (stand instanceof Error) {
    return (
      `does not answer (${stand.message}): start it, or, if it is gone for good, say that you do ` +
      'without it'
    )
  }
  const { applied, quarantine } = stand
  if (quarantine?.index === index) return null
  if (applied >= index) return 'has applied it'
  if (quarantine !== null) return `stands still at entry ${quarantine.index}`
  return (
    `has applied up to entry ${applied} and may be at it: wait until its status().haltedReason ` +
    'names the entry, or, if a statement there never ends, end its process and start it again, ' +
    'until it has died of it twice and says so'
  )
}

function refused(index: number, reason: string): ColmenaError {
  const message = `entry ${index} is not skipped: ${reason}`
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

function undecided(index: number): ColmenaError {
  const message =
    `skipping entry ${index} was proposed, and nobody has agreed on it yet: look at ` +
    'status().appliedIndex before you ask again'
  return new ColmenaError('ERR_NO_LEADER', message, { retryable: true, outcome: 'unknown' })
}
