import { crc32 } from 'node:zlib'
import type { FreshMark } from '../../src/base/shared-state.ts'
import type { Entry, Message } from '../../src/raft/types.ts'
import { Consensus, type ConsensusState, type Rule } from './consensus.ts'
import type { ProcessWatcher, SimulatedProcess } from './process.ts'

interface Published {
  readonly shared: unknown
  readonly term: number
  readonly commit: number
  readonly applied: number
  readonly mark: FreshMark | null
}

/** As `reads.ts` has it, of the election timeout that processes here have. */
const LEASE_MS = 900

/** Rules of consensus, of what processes show, and of what writers and readers were told. */
export type AnyRule =
  | Rule
  | 'published state'
  | 'state-machine safety'
  | 'strong reads'
  | 'weak reads'
  | 'linearizability'
  | 'known age'
  | 'durability'
  | 'answers'
  | 'equal databases'
  | 'alarm'
  | 'liveness'

/** Which rule a violation is of, as {@link Invariants.violations} has it. */
export function ruleOf(violation: string): string {
  return violation.slice(0, violation.indexOf(':'))
}

/** States that lives aim at: a life that never comes there tests less than it seems to. */
export type ReachedState =
  | ConsensusState
  | 'a leader lost power'
  | 'a process died while it applied'
  | 'a transaction was committed'
  | 'a bare majority went on alone'
  | 'a history was too hard to judge'
  | 'a damaged log was refused'
  | 'a removed member was told'
  | 'a relaxed member came back as another'
  | 'a member lost its directory'
  | 'a follower answered a strong read'
  | 'a lease was good without a leader'
  | LeaseState

/** Those of lives with leases. */
export type LeaseState =
  | 'a strong read went by a lease'
  | 'a strong read went by a lease while the engine stood still'
  | 'an old leader had no lease any more'

/** What must hold after every event, and what must hold at the end. */
export class Invariants implements ProcessWatcher {
  readonly #consensus: Consensus
  readonly #applied = new Map<number, number>()
  readonly #published = new Map<SimulatedProcess, Published>()
  readonly #nowMs: () => number
  readonly #acknowledged = new Map<string, number>()
  /** When the highest acknowledged index rose, and to what. */
  readonly #acknowledgments: { readonly atMs: number; readonly index: number }[] = []
  readonly #rejected = new Set<string>()
  readonly #reached = new Set<ReachedState>()
  /** Of each rule that broke, how it first did. */
  readonly #broken = new Map<AnyRule, string>()
  /** By acknowledged write: the nodes that lack it at the end. */
  readonly #lacking = new Map<string, string[]>()
  /** The highest index that any writer was told of. */
  acknowledgedIndex = 0
  snapshots = 0

  constructor(processes: readonly SimulatedProcess[], nowMs: () => number) {
    this.#nowMs = nowMs
    this.#consensus = new Consensus(processes, (rule, message) => this.broke(rule, message))
  }

  get acknowledgedCount(): number {
    return this.#acknowledged.size
  }

  get terms(): number {
    return this.#consensus.terms
  }

  /** Whether all do, so far. */
  get hold(): boolean {
    return this.#broken.size === 0
  }

  /** Which rules broke and how, in the order in which they did. */
  get violations(): readonly string[] {
    return [...this.#broken].map(([rule, message]) => `${rule}: ${message}`)
  }

  get lostWrites(): readonly string[] {
    return [...this.#lacking].map(([text, names]) => {
      const index = this.#acknowledged.get(text)
      return `${text}, acknowledged at ${index}, is missing on ${names.join(', ')}`
    })
  }

  get reached(): readonly ReachedState[] {
    return [...this.#consensus.reached, ...this.#reached].sort()
  }

  /** Only kept: within the product's code nobody may throw. */
  broke(rule: AnyRule, message: string): void {
    if (!this.#broken.has(rule)) this.#broken.set(rule, message)
  }

  /** Whether one of them has a change of the configuration before it. */
  hasOpenChanges(processes: readonly SimulatedProcess[]): boolean {
    return processes.some((process) => this.#consensus.hasOpenChanges(process))
  }

  reach(state: ReachedState): void {
    this.#reached.add(state)
  }

  stepped(process: SimulatedProcess): void {
    this.#consensus.stepped(process)
    const { shared, name } = process
    const { term, commit, leader, isClosed } = shared.readEngine()
    const mark = shared.markWithin(Number.MAX_SAFE_INTEGER)
    const now = { shared, term, commit, applied: shared.applied(), mark }
    const before = this.#published.get(process)
    if (before !== undefined && before.shared === shared) {
      for (const what of ['term', 'commit', 'applied'] as const) {
        if (now[what] >= before[what]) continue
        this.broke('published state', `${what} of ${name} went back to ${now[what]}`)
      }
    }
    this.#published.set(process, now)
    if (mark === null) return
    if (mark.atMs !== before?.mark?.atMs) this.#checkMark(process, mark)
    const ageMs = this.#nowMs() - process.clock.simulatedMs(mark.atMs)
    const isLease = mark.index <= now.applied && ageMs < LEASE_MS
    if (isLease && leader === 0 && !isClosed) this.reach('a lease was good without a leader')
  }

  /** What a process calls the age of its state is never too young: a write would be missed. */
  #checkMark({ name, clock }: SimulatedProcess, mark: FreshMark): void {
    const atMs = clock.simulatedMs(mark.atMs)
    const acknowledged = this.#acknowledgments.findLast((before) => before.atMs < atMs)
    if (acknowledged === undefined || acknowledged.index <= mark.index) return
    const { index } = acknowledged
    const what = `as of ${atMs} ms all is at ${mark.index}, but ${index} was acknowledged`
    this.broke('known age', `${name} holds that ${what}`)
  }

  sent(process: SimulatedProcess, message: Message): void {
    this.#consensus.sent(process, message)
    const { type, commit } = message
    if (type !== 'append' && type !== 'heartbeat') return
    // Whoever learns of a commit from this node, and asks it then, must find it here.
    const published = process.shared.readEngine().commit
    if (commit <= published) return
    this.broke('published state', `${process.name} tells of ${commit} and shows ${published}`)
  }

  /** An index is applied with one content everywhere. */
  applied({ name }: SimulatedProcess, entry: Entry): void {
    const hash = crc32(entry.data, entry.term)
    const known = this.#applied.get(entry.index)
    if (known === undefined) this.#applied.set(entry.index, hash)
    else if (known !== hash) {
      this.broke('state-machine safety', `${name} applies another entry at ${entry.index}`)
    }
  }

  installed(): void {
    this.snapshots += 1
  }

  acknowledged(text: string, index: number): void {
    this.#acknowledged.set(text, index)
    if (index <= this.acknowledgedIndex) return
    this.acknowledgedIndex = index
    this.#acknowledgments.push({ atMs: this.#nowMs(), index })
  }

  wasAcknowledged(text: string): boolean {
    return this.#acknowledged.has(text)
  }

  rejected(text: string): void {
    this.#rejected.add(text)
  }

  alarmed({ name }: SimulatedProcess, message: string): void {
    this.broke('alarm', `${name}: ${message}`)
  }

  /** A strong read sees every write that was acknowledged before it was asked for. */
  strongRead(process: SimulatedProcess, acknowledgedBefore: number, index: number): void {
    if (index < acknowledgedBefore) {
      const message = `one at ${index} misses a write acknowledged at ${acknowledgedBefore}`
      this.broke('strong reads', message)
    }
    if (process.running?.raft.role === 'follower') this.reach('a follower answered a strong read')
  }

  /** A weak read sees what whoever led had committed when it was asked for. */
  weakRead(committedBefore: number, index: number): void {
    if (index >= committedBefore) return
    const message = `one at ${index} misses what a leader had committed at ${committedBefore}`
    this.broke('weak reads', message)
  }

  /** Once all is healed and level: nothing lost, nothing twice, nothing differs. */
  judge(processes: readonly SimulatedProcess[]): void {
    let reference: string | null = null
    for (const process of processes) {
      const { name } = process
      const counts = new Map<string, number>()
      const content: string[] = []
      for (const { database, text, whole } of process.rows()) {
        counts.set(text, (counts.get(text) ?? 0) + 1)
        content.push(`${database}/${whole}`)
      }
      content.sort()
      this.#judgeAnswers(name, counts)
      reference ??= content.join()
      if (content.join() !== reference) {
        this.broke('equal databases', `${name} differs from the others`)
      }
    }
    const [lost] = this.lostWrites
    if (lost !== undefined) this.broke('durability', lost)
  }

  #judgeAnswers(name: string, counts: ReadonlyMap<string, number>): void {
    for (const text of this.#acknowledged.keys()) {
      if (!counts.has(text)) {
        this.#lacking.set(text, [...(this.#lacking.get(text) ?? []), name])
      }
    }
    for (const [text, count] of counts) {
      if (count > 1) this.broke('answers', `${name} has ${text} ${count} times`)
      if (!this.#rejected.has(text)) continue
      this.broke('answers', `${name} has ${text}, which was refused for good`)
    }
  }
}
