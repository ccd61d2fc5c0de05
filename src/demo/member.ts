import type { LagHistory } from './lag.ts'
import { NodeHandle, type OpenWire } from './node-handle.ts'
import type { NodeReport, WriteFate, WriteOrder } from './node-messages.ts'
import type { NodeCard } from './protocol.ts'
import { type Facts, tellStory } from './story.ts'

/** Reports are so far apart that a node which keeps up is seen so much behind. */
const LEVEL_LAG_MS_MAX = 600
/** So long a card says that its node is level again. */
const LEVEL_SHOWN_MS = 6_000
const SECONDS_SHOWN = 60
/** News of what was applied that are kept: rows ask for the latest only. */
const APPLIED_MAX = 200

export interface MemberListener {
  fates(member: Member, fates: readonly WriteFate[]): void
  leader(member: Member, leaderId: string | null, term: number): void
  /** It has applied more. */
  applied(member: Member): void
  /** The node was open, and its process has ended, whoever ended it. */
  exited(member: Member): void
  levelAgain(member: Member, afterMs: number): void
}

/** One node of the demo over all its lives, and what its card says. */
export class Member {
  readonly id: string
  readonly #listener: MemberListener
  #handle: NodeHandle | null = null
  #stage: Facts['stage'] = 'gone'
  #isLearner: boolean
  #isKilled = false
  /** Whether it comes back from something: a first start is no recovery. */
  #wasAway = false
  #isCutOff = false
  /** When the present stage began, and when what it is measured from did. */
  #stageAt = 0
  #faultAt = 0
  #levelAfterMs = 0
  #report: NodeReport | null = null
  #reportAt = 0
  #appliedIndex = 0
  #applied: { readonly index: number; readonly at: number }[] = []
  #rowsAtSecond: number | null = null
  #appliedPerSecond: number[] = []

  constructor(id: string, isLearner: boolean, listener: MemberListener) {
    this.id = id
    this.#isLearner = isLearner
    this.#listener = listener
  }

  /** Null while no process has the node open. */
  get running(): NodeHandle | null {
    return this.isGone || this.#stage === 'starting' ? null : this.#handle
  }

  /** Whether there is no process of it, not even one that starts. */
  get isGone(): boolean {
    return this.#stage === 'killed' || this.#stage === 'gone'
  }

  get isCutOff(): boolean {
    return this.#isCutOff
  }

  get isLearner(): boolean {
    return this.#isLearner
  }

  /** As others tell it while this one can't. */
  set isLearner(isLearner: boolean) {
    this.#isLearner = isLearner
  }

  /** Whether it says of itself that it counts for majorities. */
  get votes(): boolean {
    return this.#report?.isLearner === false
  }

  get appliedIndex(): number {
    return this.#appliedIndex
  }

  /** When it was heard that it has applied `index`; null if it has not, or long ago. */
  appliedAt(index: number): number | null {
    const [oldest] = this.#applied
    if (oldest === undefined || oldest.index > index) return null
    return this.#applied.find((step) => step.index >= index)?.at ?? null
  }

  /** The furthest index that this node knows of. */
  get knownIndex(): number {
    const { role, lastIndex, commitIndex } = this.#report ?? NOTHING
    // What only this node has may never be committed.
    const isHeard = role === 'leader' && !this.#isCutOff
    return Math.max(this.#appliedIndex, commitIndex, isHeard ? lastIndex : 0)
  }

  get pid(): number | null {
    return this.#handle?.pid ?? null
  }

  write(writes: readonly WriteOrder[]): void {
    this.running?.write(writes)
  }

  /** Begins a life, up to where the node is open. @throws ColmenaError what `open` threw. */
  async start(openWire: OpenWire, now: number): Promise<void> {
    const handle = new NodeHandle(openWire, {
      fates: (fates) => this.#listener.fates(this, fates),
      leader: (leaderId, term) => this.#listener.leader(this, leaderId, term),
      report: (report) => {
        // It may have come after the end of the process was known.
        if (handle.isGone) return
        this.#report = report
        this.#isLearner = report.isLearner
        this.#reportAt = Date.now()
        this.#appliedIndex = Math.max(this.#appliedIndex, report.appliedIndex)
      },
      applied: (index) => {
        this.#appliedIndex = Math.max(this.#appliedIndex, index)
        this.#applied.push({ index, at: performance.now() })
        if (this.#applied.length > APPLIED_MAX) this.#applied.shift()
        this.#listener.applied(this)
      },
      exited: () => this.#exited(),
    })
    this.#handle = handle
    this.#isKilled = false
    this.#enter('starting', now)
    this.#faultAt = now
    try {
      await handle.opened
    } catch (error) {
      await handle.kill()
      throw error
    }
    this.#enter('catching-up', Date.now())
  }

  async kill(): Promise<void> {
    this.#isKilled = true
    await this.#handle?.kill()
  }

  /** Wants to hear nothing more of it. */
  async close(): Promise<void> {
    await this.#handle?.close()
  }

  cutOff(): void {
    this.#isCutOff = true
  }

  joinAgain(now: number): void {
    this.#isCutOff = false
    if (this.running === null) return
    this.#wasAway = true
    this.#faultAt = now
    this.#enter('catching-up', now)
  }

  /** All is as it should be, as far as anybody looked; who looks begins now. */
  settle(): void {
    this.#rowsAtSecond = null
    this.#appliedPerSecond = []
    if (this.running !== null) this.#enter('steady', Date.now())
  }

  /** Looks whether the stage is over. */
  look(now: number, lag: LagHistory): void {
    if (this.#stage === 'level-again' && now - this.#stageAt > LEVEL_SHOWN_MS) {
      this.#enter('steady', now)
    }
    if (this.#stage !== 'catching-up' || this.#isCutOff) return
    const isHeard = this.#reportAt > this.#stageAt && this.#report?.leaderId != null
    if (!isHeard || lag.lagMs(now, this.#appliedIndex) > LEVEL_LAG_MS_MAX) return
    if (!this.#wasAway) {
      this.#enter('steady', now)
      return
    }
    this.#wasAway = false
    this.#levelAfterMs = now - this.#faultAt
    this.#enter('level-again', now)
    this.#listener.levelAgain(this, this.#levelAfterMs)
  }

  /** Called once a second. */
  countSecond(): void {
    const rows = this.running === null ? null : (this.#report?.lastRow ?? null)
    const before = this.#rowsAtSecond ?? rows ?? 0
    this.#appliedPerSecond.push(Math.max(0, (rows ?? before) - before))
    if (this.#appliedPerSecond.length > SECONDS_SHOWN) this.#appliedPerSecond.shift()
    if (rows !== null) this.#rowsAtSecond = rows
  }

  card(now: number, lag: LagHistory): NodeCard {
    const isRunning = this.running !== null
    const report = this.#report ?? NOTHING
    const { role, term, leaderId, commitIndex, memoryBytes, startedAt, haltedReason } = report
    const lagEntries = Math.max(0, lag.target - this.#appliedIndex)
    const { isLearner } = this
    const facts = { role, leaderId, isLearner, lagEntries, haltedReason }
    return {
      id: this.id,
      role: isRunning ? (isLearner ? 'learner' : role) : 'gone',
      isRunning,
      isCutOff: this.#isCutOff,
      term,
      leaderId: isRunning ? leaderId : null,
      commitIndex,
      appliedIndex: this.#appliedIndex,
      targetIndex: Math.max(lag.target, this.#appliedIndex),
      lagEntries,
      lagMs: Math.round(lag.lagMs(now, this.#appliedIndex)),
      startedAt: isRunning && startedAt > 0 ? startedAt : null,
      memoryBytes: isRunning ? memoryBytes : 0,
      appliedPerSecond: this.#appliedPerSecond,
      story: tellStory({
        ...facts,
        stage: this.#stage,
        isCutOff: this.#isCutOff,
        levelAfterMs: this.#levelAfterMs,
      }),
    }
  }

  #enter(stage: Facts['stage'], now: number): void {
    this.#stage = stage
    this.#stageAt = now
  }

  #exited(): void {
    const wasRunning = this.running !== null
    // Its role died with it; how far it was is still true.
    if (this.#report !== null) {
      this.#report = { ...this.#report, role: 'follower', leaderId: null, startedAt: 0 }
    }
    if (wasRunning) this.#wasAway = true
    this.#enter(this.#isKilled ? 'killed' : 'gone', Date.now())
    if (wasRunning) this.#listener.exited(this)
  }
}

const NOTHING: NodeReport = {
  role: 'follower',
  isLearner: false,
  term: 0,
  leaderId: null,
  lastIndex: 0,
  commitIndex: 0,
  appliedIndex: 0,
  memoryBytes: 0,
  startedAt: 0,
  lastRow: 0,
  haltedReason: null,
}
