import type { MemberId, Raft, TraceCode, TraceEvent } from '../raft/raft.ts'
import type { EngineToUser } from './protocol.ts'

/** What a line says beside its index and term. */
export type Details = Readonly<Record<string, unknown>>

/** Arguments that are left out: they say nothing, or what every line says. */
const SKIP = ''
const VOTE = [SKIP, 'ownLastTerm', SKIP, 'votedFor', 'type', 'from', 'lastTerm', 'lastIndex']
const RESTORE = [SKIP, 'commit', SKIP, SKIP, 'snapshotIndex', 'snapshotTerm']

/**
 * The core's events that are decisions, with what their arguments are called. All others are about
 * single messages: one line for each would hide the few that matter.
 */
const DECISIONS: Readonly<Partial<Record<TraceCode, readonly string[]>>> = {
  started: [SKIP, 'voters', 'term', 'commit', 'applied', 'index'],
  becameFollower: [],
  becameCandidate: [],
  becamePreCandidate: [],
  becameLeader: [],
  campaignStarted: [],
  campaignRefusedUnpromotable: [],
  campaignRefusedConfChange: [],
  voteRequested: [SKIP, SKIP, SKIP, 'type', 'to'],
  voteCast: VOTE,
  voteRejected: VOTE,
  voteIgnoredInLease: VOTE,
  voteReceived: [SKIP, 'type', 'from'],
  voteRefusalReceived: [SKIP, 'type', 'from'],
  votesTallied: [SKIP, 'granted', 'type', 'rejected'],
  higherTermSeen: [SKIP, SKIP, 'type', 'from', 'newTerm'],
  timeoutNowReceived: [SKIP, SKIP, 'from'],
  quorumLost: [],
  leaderForgotten: [SKIP, 'leader'],
  confChangeIgnored: [SKIP, SKIP, SKIP, SKIP, 'reason', 'pendingIndex', 'applied'],
  confChangeInvalid: [SKIP, 'reason'],
  configurationSwitched: [SKIP, 'configuration'],
  transferToLearner: [],
  transferAlreadyPending: [SKIP, SKIP, 'to'],
  transferAborted: [SKIP, SKIP, 'to'],
  transferStarted: [SKIP, SKIP, 'to'],
  timeoutNowSentAtOnce: [SKIP, 'to'],
  timeoutNowSentAfterAck: [SKIP, 'to'],
  snapshotSent: [SKIP, 'firstIndex', 'commit', 'snapshotIndex', 'snapshotTerm', 'to'],
  snapshotSucceeded: [SKIP, 'to'],
  snapshotFailed: [SKIP, 'to'],
  snapshotIgnored: [SKIP, 'commit', 'snapshotIndex', 'snapshotTerm'],
  snapshotRestoreRefusedMember: [SKIP, 'configuration'],
  snapshotFastForwarded: RESTORE,
  snapshotRestored: RESTORE,
}

/** Arguments that are member ids. */
const MEMBERS = new Set(['from', 'to', 'votedFor', 'leader', 'voters', 'learners'])

export interface DecisionsOptions {
  readonly isOn: boolean
  readonly toUser: (message: EngineToUser) => void
}

/**
 * What the engine decides, as lines for whoever looks for a fault: each with the last index of the
 * log and the term. Off, which is the rule, the core has no listener, and nothing is made.
 */
export class Decisions {
  readonly #options: DecisionsOptions
  #raft: Pick<Raft, 'lastIndex' | 'term'> | null = null
  #nodeId: (id: MemberId) => string | null = () => null

  constructor(options: DecisionsOptions) {
    this.#options = options
  }

  /** For the core's configuration; undefined while nobody listens. */
  get trace(): ((event: TraceEvent) => void) | undefined {
    return this.#options.isOn ? (event) => this.#traced(event) : undefined
  }

  /** The core exists now, and members have names. */
  attach(raft: Pick<Raft, 'lastIndex' | 'term'>, nodeId: (id: MemberId) => string | null): void {
    this.#raft = raft
    this.#nodeId = nodeId
  }

  say(what: string, details: Details = {}): void {
    if (!this.#options.isOn) return
    const raft = this.#raft
    const place = raft === null ? {} : { index: raft.lastIndex, term: raft.term }
    const words = Object.entries({ ...details, ...place }).map(
      ([name, value]) => `${name}=${this.#text(name, value)}`,
    )
    this.#options.toUser({ kind: 'decision', line: [what, ...words].join(' ') })
  }

  #traced({ code, args }: TraceEvent): void {
    const names = DECISIONS[code]
    // While the core is made it repeats what `started` sums up, and has no index or term to tell.
    if (names === undefined || (this.#raft === null && code !== 'started')) return
    const details: Record<string, unknown> = {}
    for (const [at, name] of names.entries()) if (name !== SKIP) details[name] = args[at]
    this.say(code, details)
  }

  #text(name: string, value: unknown): string {
    if (Array.isArray(value)) return value.map((one) => this.#text(name, one)).join(',') || 'none'
    if (typeof value === 'number' && MEMBERS.has(name)) {
      return value === 0 ? 'none' : (this.#nodeId(value) ?? String(value))
    }
    if (typeof value !== 'object' || value === null) return String(value)
    const parts = Object.entries(value).filter(
      ([, part]) => !Array.isArray(part) || part.length > 0,
    )
    return parts.map(([key, part]) => `${key}:${this.#text(memberKey(key), part)}`).join('/')
  }
}

/** The lists of a configuration (`votersOutgoing`, `learnersNext` too) are lists of members. */
function memberKey(key: string): string {
  if (key.startsWith('voters')) return 'voters'
  return key.startsWith('learners') ? 'learners' : key
}
