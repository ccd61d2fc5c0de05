import { ColmenaError } from '../base/errors.ts'
import type { Clock, Random } from '../base/ports.ts'
import { decodeWriteHeader, patchEnvironment, transactionEnded } from '../command/command.ts'
import type { MemberId, Raft } from '../raft/raft.ts'
import type { Applier } from './ports.ts'
import { type Proposals, trialKey } from './proposals.ts'
import type { TrialStep } from './protocol.ts'

export interface TrialsOptions {
  readonly raft: Pick<Raft, 'role' | 'lastIndex'>
  readonly clock: Clock
  readonly random: Random
  readonly applier: Pick<Applier, 'tryStatements' | 'endTrial'>
  readonly proposals: Pick<Proposals, 'closeGate' | 'openGate'>
  /** Every entry up to here is in this node's databases. */
  readonly applied: () => number
  readonly idleMs: number
  readonly totalMs: number
  readonly nodeId: (id: MemberId) => string
  readonly schedule: () => void
}

type Answered = (error: Error | null, answer: Uint8Array | null) => void

/** A step that waits for its turn. */
interface Waiting {
  readonly key: string
  readonly database: string
  readonly from: MemberId
  readonly step: TrialStep
  readonly done: Answered
}

/** A step on its way through the storage thread. */
interface StepUnderWay {
  readonly from: MemberId
  readonly bytes: Uint8Array
  /** Whether its transaction has ended: nobody waits for it any more. */
  isOver: boolean
}

/** The transaction that a database's writes wait for. */
interface Holder {
  readonly key: string
  readonly database: string
  readonly from: MemberId
  readonly beganMs: number
  /** When it last had nothing to do; null while it has. */
  idleMs: number | null
  /** Ends the step that is under way for its owner; null while there is none. */
  stopStep: ((error: ColmenaError) => void) | null
  /** Its first step, until all that was proposed before is applied. */
  first: Waiting | null
  /** The last entry before the trial; null until this turn's commands are in the log. */
  gateIndex: number | null
}

/** Transactions that wait for one database; beyond, they are refused. */
const WAITING_MAX = 256
/** Keys of transactions that were ended, with the reason that their owners are told. */
const ENDED_MAX = 1024

/**
 * The leader's side of interactive transactions. One at a time is tried on a database: its writes
 * wait at a gate meanwhile, and the trial begins once all that went before is applied, so that
 * nothing can come between the trial and its commit but a change of leaders, which apply notices
 * by the base. Whoever is idle or takes too long is ended, so that nobody holds writes for ever.
 */
export class Trials {
  readonly #options: TrialsOptions
  readonly #holders = new Map<string, Holder>()
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #ended = new Map<string, string>()
  readonly #steps = new Map<number, StepUnderWay>()
  #lastStep = 0

  constructor(options: TrialsOptions) {
    this.#options = options
  }

  /** Runs a step of a transaction, its first one included. */
  step(from: MemberId, step: TrialStep, done: Answered): void {
    if (this.#options.raft.role !== 'leader') {
      done(noLongerLeader(step.begins), null)
      return
    }
    const { origin, sequence, database } = decodeWriteHeader(step.bytes)
    const key = trialKey(origin, sequence)
    const waiting = { key, database, from, step, done }
    const holder = this.#holders.get(database)
    if (!step.begins) {
      if (holder?.key === key && holder.first === null) this.#run(holder, waiting)
      else
        done(transactionEnded(this.#ended.get(key) ?? 'its leader does not know it any more'), null)
      return
    }
    if (holder === undefined) {
      this.#hold(waiting)
      return
    }
    const queue = this.#waiting.get(database) ?? []
    if (queue.length >= WAITING_MAX) done(this.#busy(holder), null)
    else this.#waiting.set(database, [...queue, waiting])
  }

  /** Its owner has no more use for it. */
  end(database: string, key: string): void {
    const why = 'its owner ended it'
    const queue = this.#waiting.get(database) ?? []
    const [ended] = queue.filter((waiting) => waiting.key === key)
    if (ended !== undefined) {
      const rest = queue.filter((waiting) => waiting !== ended)
      this.#waiting.set(database, rest)
      ended.done(transactionEnded(why), null)
    }
    const holder = this.#holders.get(database)
    if (holder?.key === key) this.#end(holder, why)
  }

  /** Begins the trials that nothing is in the way of; to be called once commands are proposed. */
  advance(): void {
    for (const holder of this.#holders.values()) {
      const { first } = holder
      if (first === null) continue
      holder.gateIndex ??= this.#options.raft.lastIndex
      if (this.#options.applied() < holder.gateIndex) continue
      holder.first = null
      this.#run(holder, first)
    }
  }

  /** The step of that number, until the storage thread is done with it; null if it is. */
  stepUnderWay(number: number): Readonly<StepUnderWay> | null {
    return this.#steps.get(number) ?? null
  }

  tick(): void {
    const { clock, idleMs, totalMs, nodeId } = this.#options
    const nowMs = clock.nowMs()
    for (const holder of [...this.#holders.values()]) {
      const whose = `the one of node ${nodeId(holder.from)}`
      if (holder.idleMs !== null && nowMs - holder.idleMs >= idleMs) {
        this.#stop(holder, `${whose} was idle for ${idleMs} ms (transactionIdleMs)`)
      } else if (nowMs - holder.beganMs >= totalMs) {
        this.#stop(holder, `${whose} was not done within ${totalMs} ms (transactionMs)`)
      }
    }
  }

  /** This node may lead no more: what is tried here is over, and its writes go elsewhere. */
  reset(): void {
    const holders = [...this.#holders.values()]
    const waiting = [...this.#waiting.values()].flat()
    this.#holders.clear()
    this.#waiting.clear()
    for (const holder of holders) {
      this.#noteEnd(holder.key, 'the leader changed')
      this.#options.applier.endTrial(holder.database, holder.key)
      holder.first?.done(noLongerLeader(true), null)
      holder.stopStep?.(transactionEnded('the leader changed'))
    }
    for (const { done } of waiting) done(noLongerLeader(true), null)
  }

  #hold(first: Waiting): void {
    const { clock, proposals, schedule } = this.#options
    const { key, database, from } = first
    const beganMs = clock.nowMs()
    const state = { beganMs, idleMs: null, stopStep: null, first, gateIndex: null }
    this.#holders.set(database, { key, database, from, ...state })
    proposals.closeGate(database)
    schedule()
  }

  #run(holder: Holder, { key, step, done }: Waiting): void {
    const { applier, clock, random } = this.#options
    const { bytes, begins, base } = step
    this.#lastStep += 1
    const number = this.#lastStep
    const underWay = { from: holder.from, bytes, isOver: false }
    this.#steps.set(number, underWay)
    holder.idleMs = null
    holder.stopStep = (error) => {
      underWay.isOver = true
      done(error, null)
    }
    if (begins) {
      const seeds = { seedHigh: random.u32(), seedLow: random.u32() }
      patchEnvironment(bytes, { wallMs: Math.floor(clock.wallMs()), ...seeds })
    }
    applier.tryStatements({ number, key, bytes, begins, base }, (error, answer) => {
      this.#steps.delete(number)
      if (underWay.isOver) return
      holder.idleMs = clock.nowMs()
      holder.stopStep = null
      if (error !== null) this.#release(holder)
      done(error, answer)
    })
  }

  #stop(holder: Holder, why: string): void {
    this.#noteEnd(holder.key, why)
    this.#end(holder, why)
  }

  /** Its owner need not wait for a step that did not begin, or for one that may never end. */
  #end(holder: Holder, why: string): void {
    holder.first?.done(transactionEnded(why), null)
    holder.stopStep?.(transactionEnded(why))
    this.#release(holder)
  }

  /** Lets what waited at the gate into the log before the next transaction closes it again. */
  #release({ database, key }: Holder): void {
    const { applier, proposals, schedule } = this.#options
    this.#holders.delete(database)
    applier.endTrial(database, key)
    proposals.openGate(database)
    const [next, ...rest] = this.#waiting.get(database) ?? []
    this.#waiting.set(database, rest)
    if (rest.length === 0) this.#waiting.delete(database)
    if (next !== undefined) this.#hold(next)
    schedule()
  }

  #noteEnd(key: string, why: string): void {
    if (this.#ended.size >= ENDED_MAX) this.#ended.clear()
    this.#ended.set(key, why)
  }

  #busy({ from, database, beganMs }: Holder): ColmenaError {
    const { nodeId, clock } = this.#options
    return new ColmenaError(
      'ERR_BUSY',
      `${WAITING_MAX} transactions wait for database '${database}' already, behind one of node ` +
        `${nodeId(from)} that began ${Math.round(clock.nowMs() - beganMs)} ms ago: try again later`,
      { retryable: true },
    )
  }
}

/** One that has not begun can still begin elsewhere. */
function noLongerLeader(begins: boolean): ColmenaError {
  if (!begins) return transactionEnded('its leader leads no more')
  return new ColmenaError('ERR_NO_LEADER', 'this node does not lead', { retryable: true })
}
