import { crc32 } from 'node:zlib'
import { type ConfState, isJoint, type Message, type Raft } from '../../src/raft/raft.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'

export type RaftView = Pick<
  Raft,
  'role' | 'term' | 'commit' | 'applied' | 'lastIndex' | 'confState' | 'hasReady' | 'status'
>

export interface LogView {
  readonly firstIndex: number
  readonly lastIndex: number
  term(index: number): number | 'compacted' | 'unavailable'
  entries(lo: number, hi: number, bytesMax: number): readonly Entry[] | 'compacted' | 'unavailable'
}

/** Core and log of one process. */
export interface RunningNode {
  readonly raft: RaftView
  readonly log: LogView
}

/** What a power loss would leave of a node's log. */
export interface DurableView {
  readonly hardState: HardState
  readonly compacted: number
  readonly last: number
  term(index: number): number | null
  /** Looks again, and tells the hard states that have come since. */
  refresh(): readonly HardState[]
}

/** One machine as its consensus is judged: the production code's own state, and its disk. */
export interface ConsensusNode {
  readonly memberId: number
  readonly name: string
  /** Null while no process runs there. */
  readonly running: RunningNode | null
  readonly durable: DurableView
  /** Entries that count as held: the durable ones, or what a relaxed log has in the system. */
  readonly held: DurableView
}

export type Rule =
  | 'election safety'
  | 'monotone state'
  | 'durable vote'
  | 'vote by log'
  | 'leader append-only'
  | 'log matching'
  | 'commit immutability'
  | 'commit in own term'
  | 'durable commit'
  | 'leader completeness'
  | 'acknowledgements'
  | 'order of indexes'
  | 'flow control'
  | 'one configuration change'

export type ConsensusState =
  | 'an old leader was overwritten'
  | 'a snapshot took the place of a log'
  | 'a joint configuration'

/** As `settings.ts` has them. */
const INFLIGHT_MESSAGES_MAX = 256
const UNCOMMITTED_BYTES_MAX = 64 * 1024 * 1024

/** What was last seen of one process; another process on the same machine starts anew. */
interface Seen {
  readonly raft: RaftView
  role: RaftView['role']
  term: number
  commit: number
  applied: number
  confState: ConfState
  last: number
  /** By index: all that has been in its log, the newest version. */
  readonly terms: number[]
  /** Of configuration changes that are not applied, ascending. */
  changes: number[]
  /** Where a snapshot took the place of the log; its databases may take a while to follow. */
  resetAt: number
}

/** One version of an index: what its term says of it holds for every log that has it. */
interface Version {
  readonly term: number
  readonly previousTerm: number
  readonly hash: number
}

/**
 * What Raft promises, judged after every event for the node that it touched: by what the others
 * have on their disks, not by what they say. A node is looked at when its turn is done. Before,
 * core and log may differ, and nobody has learnt of it yet.
 */
export class Consensus {
  readonly #nodes: readonly ConsensusNode[]
  readonly #broke: (rule: Rule, message: string) => void
  readonly #seen = new Map<number, Seen>()
  readonly #leaders = new Map<number, { readonly memberId: number; readonly raft: RaftView }>()
  /** By member and term. */
  readonly #votes = new Map<string, number>()
  readonly #durableTerms = new Map<number, number>()
  readonly #versions: Version[][] = []
  /** Terms of committed entries, by index; before the first there is nothing, of term 0. */
  readonly #committed: number[] = [0]
  #committedTo = 0
  /** How far, by the term of who first knew it. */
  readonly #committedIn = new Map<number, number>()
  readonly reached: Set<ConsensusState> = new Set()

  constructor(nodes: readonly ConsensusNode[], broke: (rule: Rule, message: string) => void) {
    this.#nodes = nodes
    this.#broke = broke
  }

  /** Terms that had a leader. */
  get terms(): number {
    return this.#leaders.size
  }

  /** Whether its log has changes of the configuration that it has not applied. */
  hasOpenChanges({ memberId, running }: ConsensusNode): boolean {
    const changes = this.#seen.get(memberId)?.changes ?? []
    return changes.some((index) => index > (running?.raft.applied ?? 0))
  }

  /** Something happened on this node. */
  stepped(node: ConsensusNode): void {
    const { running } = node
    if (running === null || running.raft.hasReady()) return
    const { raft, log } = running
    let seen = this.#seen.get(node.memberId)
    if (seen?.raft !== raft) seen = firstSight(raft)
    this.#seen.set(node.memberId, seen)
    if (isJoint(raft.confState)) this.reached.add('a joint configuration')
    this.#checkMonotone(node, seen, raft)
    this.#followLog(node, seen, running)
    this.#checkOrder(node, seen, running)
    if (raft.role === 'leader') {
      if (seen.role !== 'leader' || seen.term !== raft.term) this.#checkElected(node, seen, running)
      this.#checkProgress(node, raft)
      this.#checkChanges(node, seen, raft)
    }
    if (raft.commit > seen.commit) this.#checkCommit(node, seen, running)
    seen.role = raft.role
    seen.term = raft.term
    seen.commit = raft.commit
    seen.applied = raft.applied
    seen.confState = raft.confState
    seen.last = log.lastIndex
  }

  /** An answer that leaves a node speaks of nothing that a power loss could take back. */
  sent(node: ConsensusNode, message: Message): void {
    const { type, reject, term, index, to } = message
    const isVote = type === 'voteResponse' || (type === 'preVoteResponse' && reject)
    if (!isVote && type !== 'appendResponse') return
    this.#refresh(node)
    const { durable } = node
    const { hardState } = durable
    // Whoever leads a later term has all that was ever committed: it may take back the rest, also
    // while this answer waits for the disk.
    if (hardState.term > term) return
    const fail = (what: string): void =>
      this.#broke('acknowledgements', `${node.name} ${what}, its disk does not`)
    if (hardState.term < term) fail(`answers in term ${term}`)
    else if (isVote && !reject && hardState.vote !== to) fail(`votes for ${to} in term ${term}`)
    else if (!isVote && !reject && !this.#hasAcknowledged(node, message)) {
      fail(`has entries up to ${index} of the leader of term ${term}`)
    }
    if (type === 'voteResponse' && !reject) this.#checkVote(node, message)
  }

  /** Nobody votes for a log that is behind its own: by the last term first, then by length. */
  #checkVote({ name, running: voter }: ConsensusNode, { to, term }: Message): void {
    const candidate = this.#nodes.find(({ memberId }) => memberId === to)?.running
    // Once somebody leads that term the voter may have more by now.
    if (voter === null || !candidate || this.#leaders.has(term)) return
    if (candidate.raft.role !== 'candidate' || candidate.raft.term !== term) return
    const [own, theirs] = [voter.log, candidate.log]
    const ownTerm = Number(own.term(own.lastIndex))
    const theirTerm = Number(theirs.term(theirs.lastIndex))
    if (theirTerm > ownTerm) return
    if (theirTerm === ownTerm && theirs.lastIndex >= own.lastIndex) return
    const what = `${name}, whose log ends with ${own.lastIndex} of term ${ownTerm}, votes in term`
    const whom = `for one that ends with ${theirs.lastIndex} of term ${theirTerm}`
    this.#broke('vote by log', `${what} ${term} ${whom}`)
  }

  /** The entry that the leader has there, if that can still be told. */
  #hasAcknowledged({ held }: ConsensusNode, { to, term, index }: Message): boolean {
    if (index <= held.compacted) return true
    if (index > held.last) return false
    const leader = this.#seen.get(to)
    if (leader === undefined || this.#leaders.get(term)?.raft !== leader.raft) return true
    const known = leader.term === term ? leader.terms[index] : undefined
    return known === undefined || known === held.term(index)
  }

  #refresh(node: ConsensusNode): void {
    const { memberId, name, durable } = node
    const check = ({ term, vote }: HardState): void => {
      const key = `${memberId}/${term}`
      const before = this.#votes.get(key) ?? vote
      if (vote !== before) {
        this.#broke('durable vote', `${name} voted for ${before} in term ${term}, now for ${vote}`)
      }
      this.#votes.set(key, vote)
    }
    // Old ones come again when the log begins with another segment: those without a vote tell
    // nothing, unless it stays so.
    for (const state of durable.refresh()) if (state.vote !== 0) check(state)
    if (node.held !== durable) node.held.refresh()
    if (this.#votes.has(`${memberId}/${durable.hardState.term}`)) check(durable.hardState)
    const { term } = durable.hardState
    const before = this.#durableTerms.get(memberId) ?? 0
    if (term < before) {
      this.#broke('durable vote', `the disk of ${name} went back from term ${before} to ${term}`)
    }
    this.#durableTerms.set(memberId, term)
  }

  #checkMonotone({ name }: ConsensusNode, seen: Seen, raft: RaftView): void {
    for (const what of ['term', 'commit', 'applied'] as const) {
      if (raft[what] >= seen[what]) continue
      this.#broke('monotone state', `${what} of ${name} went from ${seen[what]} to ${raft[what]}`)
    }
  }

  /** Looks at the part of the log that is new; terms tell where it begins. */
  #followLog(node: ConsensusNode, seen: Seen, { raft, log }: RunningNode): void {
    const { firstIndex, lastIndex } = log
    let from = Math.min(lastIndex, seen.last) + 1
    while (from > firstIndex && log.term(from - 1) !== seen.terms[from - 1]) from -= 1
    if (from <= seen.last) this.#checkCut(node, seen, raft, from)
    const base = firstIndex - 1
    const baseTerm = Number(log.term(base))
    if (seen.terms[base] !== baseTerm) {
      seen.resetAt = base
      if (seen.last > 0) this.reached.add('a snapshot took the place of a log')
    }
    seen.terms.length = Math.max(from, firstIndex)
    seen.terms[base] = baseTerm
    seen.changes = seen.changes.filter((index) => index < from && index > raft.applied)
    for (let at = Math.max(from, firstIndex); at <= lastIndex; ) {
      const entries = log.entries(at, lastIndex + 1, Number.POSITIVE_INFINITY)
      // What is on the disk alone was looked at when it was written, or sent.
      const known = typeof entries === 'string' ? [] : entries
      for (const entry of known) this.#checkEntry(node, seen, entry)
      at += known.length
      if (known.length > 0) continue
      seen.terms[at] = Number(log.term(at))
      at += 1
    }
  }

  #checkCut({ name, memberId }: ConsensusNode, seen: Seen, raft: RaftView, from: number): void {
    const wasLeader = seen.role === 'leader' && raft.role === 'leader' && seen.term === raft.term
    if (wasLeader) {
      this.#broke('leader append-only', `${name} leads term ${raft.term} and cuts off ${from}`)
    }
    if (from <= seen.commit) {
      this.#broke('commit immutability', `${name} cuts off ${from}, committed to ${seen.commit}`)
    }
    for (const term of seen.terms.slice(from, seen.last + 1)) {
      if (this.#leaders.get(term)?.memberId !== memberId) continue
      this.reached.add('an old leader was overwritten')
    }
  }

  /**
   * Index and term say what an entry is, and what is before it: with that for every entry of every
   * log, two logs that share one share all before it.
   */
  #checkEntry({ name }: ConsensusNode, seen: Seen, entry: Entry): void {
    const { index, term, type, data } = entry
    const previousTerm = seen.terms[index - 1] ?? 0
    const hash = crc32(data, crc32(type))
    this.#versions[index] ??= []
    const versions = this.#versions[index]
    const known = versions.find((version) => version.term === term)
    if (known === undefined) versions.push({ term, previousTerm, hash })
    else if (known.hash !== hash || known.previousTerm !== previousTerm) {
      this.#broke('log matching', `${name} has another entry ${index} of term ${term} than others`)
    }
    seen.terms[index] = term
    if (type !== 'normal' && index > seen.raft.applied) seen.changes.push(index)
  }

  #checkOrder({ name }: ConsensusNode, seen: Seen, { raft, log }: RunningNode): void {
    const { applied, commit, lastIndex } = raft
    const compacted = log.firstIndex - 1
    const isInOrder = applied <= commit && commit <= lastIndex && lastIndex === log.lastIndex
    if (isInOrder && (compacted <= applied || compacted === seen.resetAt)) return
    this.#broke(
      'order of indexes',
      `${name}: compacted ${compacted}, applied ${applied}, committed ${commit}, ` +
        `last ${lastIndex} and ${log.lastIndex} in the log`,
    )
  }

  #checkElected(node: ConsensusNode, seen: Seen, running: RunningNode): void {
    const { name, memberId } = node
    const { raft } = running
    const { term } = raft
    const other = this.#leaders.get(term)
    if (other !== undefined && other.raft !== raft) {
      this.#broke('election safety', `term ${term} has two leaders, ${name} is one of them`)
    }
    this.#leaders.set(term, { memberId, raft })
    for (const voter of this.#nodes) this.#refresh(voter)
    const votes = ({ memberId: id }: ConsensusNode): boolean =>
      this.#votes.get(`${id}/${term}`) === memberId
    if (!this.#isDecided(votes, [raft.confState, seen.confState])) {
      this.#broke('election safety', `${name} leads term ${term} without the votes of a majority`)
    }
    this.#checkComplete(name, running)
  }

  /** Who is elected late, its votes come long ago, may lack what later terms have committed. */
  #checkComplete(name: string, { raft, log }: RunningNode): void {
    const before = [...this.#committedIn].filter(([term]) => term < raft.term)
    const index = Math.max(0, ...before.map(([, committed]) => committed))
    const found = log.term(index)
    if (found === this.#committed[index] || found === 'compacted') return
    const message = `${name} leads term ${raft.term} without the committed entry ${index}`
    this.#broke('leader completeness', message)
  }

  #checkProgress({ name }: ConsensusNode, raft: RaftView): void {
    const { progress, uncommittedBytes, lastIndex } = raft.status()
    if (uncommittedBytes > UNCOMMITTED_BYTES_MAX) {
      this.#broke('flow control', `${name} holds ${uncommittedBytes} uncommitted bytes`)
    }
    for (const { id, match, next, inflight } of progress) {
      if (match < 0 || match >= next || match > lastIndex || next > lastIndex + 1) {
        const range = `match ${match} and next ${next} in a log of ${lastIndex}`
        this.#broke('order of indexes', `${name} takes member ${id} to be at ${range}`)
      }
      if (inflight <= INFLIGHT_MESSAGES_MAX) continue
      this.#broke('flow control', `${name} has ${inflight} messages on their way to member ${id}`)
    }
  }

  /** A leader proposes a change when it has applied all before it, in whatever term they are. */
  #checkChanges({ name }: ConsensusNode, { changes, terms }: Seen, raft: RaftView): void {
    const open = changes.filter((index) => index > raft.applied)
    if (open.length < 2 || !open.some((index) => terms[index] === raft.term)) return
    this.#broke('one configuration change', `${name} has changes at ${open.join()} under way`)
  }

  #checkCommit(node: ConsensusNode, seen: Seen, { raft, log }: RunningNode): void {
    const { name } = node
    for (let index = Math.max(seen.commit + 1, log.firstIndex - 1); index <= raft.commit; index++) {
      const term = Number(log.term(index))
      const known = index > this.#committedTo ? undefined : this.#committed[index]
      if (known !== undefined && known !== term) {
        this.#broke('commit immutability', `${name} commits another entry ${index}`)
      }
      if (index > this.#committedTo) this.#committed[index] = term
    }
    const hasLed = seen.role === 'leader' && raft.role === 'leader' && seen.term === raft.term
    const newest = Number(log.term(raft.commit))
    if (hasLed && newest !== raft.term) {
      const what = `${name}, which leads term ${raft.term}, commits ${raft.commit} of ${newest}`
      this.#broke('commit in own term', what)
    }
    if (raft.commit <= this.#committedTo) return
    this.#committedTo = raft.commit
    this.#committedIn.set(raft.term, raft.commit)
    const index = raft.commit
    const term = this.#committed[index]
    for (const holder of this.#nodes) this.#refresh(holder)
    const holds = ({ held }: ConsensusNode): boolean =>
      held.compacted >= index || held.term(index) === term
    if (!this.#isDecided(holds, [raft.confState, seen.confState])) {
      const holders = this.#nodes.filter(holds).map((holder) => holder.name)
      const where = holders.join(', ') || 'no node'
      const what = `${name} commits entry ${index} of term ${term}`
      this.#broke('durable commit', `${what}, which is durable on ${where}`)
    }
    for (const { name: other, running } of this.#nodes) {
      if (running?.raft.role !== 'leader' || running.raft.term <= raft.term) continue
      if (!running.raft.hasReady()) this.#checkComplete(other, running)
    }
  }

  /**
   * A majority of each set of voters, counted by hand. The configuration is the one of now, or the
   * one before if it changed within the turn that also decided.
   */
  #isDecided(agrees: (node: ConsensusNode) => boolean, confStates: readonly ConfState[]): boolean {
    const ids = new Set(this.#nodes.filter(agrees).map(({ memberId }) => memberId))
    const isMajority = (voters: readonly number[]): boolean =>
      2 * voters.filter((id) => ids.has(id)).length > voters.length
    return confStates.some(
      ({ voters, votersOutgoing }) =>
        isMajority(voters) && (votersOutgoing.length === 0 || isMajority(votersOutgoing)),
    )
  }
}

function firstSight(raft: RaftView): Seen {
  return {
    raft,
    role: 'follower',
    term: 0,
    commit: 0,
    applied: 0,
    confState: raft.confState,
    last: 0,
    terms: [],
    changes: [],
    resetAt: 0,
  }
}
