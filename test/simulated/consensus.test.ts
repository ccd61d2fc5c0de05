/** Each rule that lives are judged by is shown a breach, and names it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ConfState,
  createMessage,
  EMPTY_CONF_STATE,
  type Message,
  type RaftStatus,
} from '../../src/raft/raft.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'
import {
  Consensus,
  type ConsensusNode,
  type LogView,
  type RaftView,
  type Rule,
} from './consensus.ts'

const VOTERS: ConfState = { ...EMPTY_CONF_STATE, voters: [1, 2, 3] }
const NOBODY: HardState = { term: 0, vote: 0, commit: 0 }

type Progress = Pick<RaftStatus['progress'][number], 'id' | 'match' | 'next' | 'inflight'>

/** A node whose every part can be set; at first it holds nothing. */
class FakeNode implements ConsensusNode {
  readonly memberId: number
  entries: Entry[] = []
  /** Entries up to here are compacted. */
  base = { index: 0, term: 0 }
  onDisk: { entries: Entry[]; compacted: number; hardState: HardState } = {
    entries: [],
    compacted: 0,
    hardState: NOBODY,
  }
  state = createState()

  constructor(memberId: number) {
    this.memberId = memberId
  }

  get name(): string {
    return `n${this.memberId}`
  }

  get running(): { raft: RaftView; log: LogView } {
    return { raft: this.state, log: this.#log }
  }

  get durable(): ConsensusNode['durable'] {
    const { entries, compacted, hardState } = this.onDisk
    return {
      hardState,
      compacted,
      last: entries.at(-1)?.index ?? compacted,
      term: (index) => entries.find((entry) => entry.index === index)?.term ?? null,
      refresh: () => [hardState],
    }
  }

  get held(): ConsensusNode['held'] {
    return this.durable
  }

  /** Puts entries into the log, over those that are there, and onto the disk. */
  write(...entries: Entry[]): void {
    const first = entries[0]?.index ?? 0
    this.entries = [...this.entries.filter(({ index }) => index < first), ...entries]
    this.onDisk.entries = [...this.entries]
    this.state.lastIndex = this.entries.at(-1)?.index ?? this.base.index
  }

  vote(term: number, vote: number): void {
    this.onDisk.hardState = { term, vote, commit: 0 }
  }

  get #log(): LogView {
    const { entries, base } = this
    return {
      firstIndex: base.index + 1,
      lastIndex: entries.at(-1)?.index ?? base.index,
      term: (index) => {
        if (index === base.index) return base.term
        return entries.find((entry) => entry.index === index)?.term ?? 'unavailable'
      },
      entries: (lo, hi) => entries.filter(({ index }) => lo <= index && index < hi),
    }
  }
}

/** The core's own fields, with nothing to be done. */
function createState(): {
  -readonly [Key in keyof RaftView]: RaftView[Key]
} & { progress: Progress[]; uncommittedBytes: number } {
  return {
    role: 'follower',
    term: 0,
    commit: 0,
    applied: 0,
    lastIndex: 0,
    confState: VOTERS,
    hasReady: () => false,
    progress: [],
    uncommittedBytes: 0,
    status() {
      const { progress, uncommittedBytes, lastIndex } = this
      return { progress, uncommittedBytes, lastIndex } as unknown as RaftStatus
    },
  }
}

function entry(index: number, term: number, fields: Partial<Entry> = {}): Entry {
  return { index, term, type: 'normal', data: Buffer.from(`${index}/${term}`), ...fields }
}

class Cluster {
  readonly nodes = [new FakeNode(1), new FakeNode(2), new FakeNode(3)] as const
  readonly broken: Rule[] = []
  readonly consensus = new Consensus(this.nodes, (rule) => this.broken.push(rule))

  /** The first node leads term 2; entries 1 to 3 are everywhere, 1 and 2 committed and applied. */
  constructor() {
    const [first, ...others] = this.nodes
    for (const node of this.nodes) {
      node.vote(2, 1)
      node.state.term = 2
    }
    this.lead(first, 2)
    for (const node of this.nodes) node.write(entry(1, 2), entry(2, 2), entry(3, 2))
    for (const node of this.nodes) this.commit(node, 2)
    for (const node of others) this.consensus.sent(node, this.answer(node, { index: 3 }))
  }

  lead(node: FakeNode, term: number): void {
    node.state.role = 'leader'
    node.state.term = term
    this.step(node)
  }

  commit(node: FakeNode, index: number): void {
    node.state.commit = index
    node.state.applied = Math.min(index, 2)
    this.step(node)
  }

  step(...nodes: readonly FakeNode[]): void {
    for (const node of nodes) this.consensus.stepped(node)
  }

  answer(node: FakeNode, fields: Partial<Message>): Message {
    return { ...createMessage('appendResponse', node.memberId, 1), term: 2, ...fields }
  }
}

/** What is done to a healthy cluster, and the one rule that must notice. */
const breaches: readonly (readonly [
  rule: Rule,
  what: string,
  breach: (cluster: Cluster, nodes: Cluster['nodes']) => void,
])[] = [
  [
    'election safety',
    'two leaders in a term',
    (cluster, [, second]) => {
      for (const node of cluster.nodes) node.vote(3, 2)
      cluster.lead(second, 3)
      second.state = { ...second.state }
      cluster.step(second)
    },
  ],
  [
    'election safety',
    'a leader whose votes are on too few disks',
    (cluster, [first, second]) => {
      second.vote(3, 2)
      first.vote(3, 1)
      cluster.lead(second, 3)
    },
  ],
  [
    'monotone state',
    'a commit index that goes back',
    (cluster, [, second]) => {
      second.state.commit = 1
      second.state.applied = 1
      cluster.step(second)
    },
  ],
  [
    'durable vote',
    'two votes in a term',
    (cluster, [first, second]) => {
      second.vote(2, 3)
      cluster.consensus.sent(second, cluster.answer(second, { index: 3 }))
      cluster.step(first)
    },
  ],
  [
    'durable vote',
    'a vote that is forgotten',
    (cluster, [, second]) => {
      second.vote(2, 0)
      cluster.consensus.sent(second, cluster.answer(second, { index: 3 }))
    },
  ],
  [
    'durable vote',
    'a disk that went back to an older term',
    (cluster, [, second]) => {
      second.vote(1, 0)
      cluster.consensus.sent(second, cluster.answer(second, { term: 1, index: 3 }))
    },
  ],
  [
    'vote by log',
    'a vote for a log of an older term',
    (cluster, [, second, third]) => {
      third.write(entry(3, 1), entry(4, 1))
      third.state.role = 'candidate'
      third.state.term = 3
      second.vote(3, 3)
      const vote = cluster.answer(second, { type: 'voteResponse', term: 3, to: 3 })
      cluster.consensus.sent(second, vote)
    },
  ],
  [
    'vote by log',
    'a vote for a shorter log',
    (cluster, [, second, third]) => {
      third.entries = third.entries.slice(0, 2)
      third.state.role = 'candidate'
      third.state.term = 3
      second.vote(3, 3)
      const vote = cluster.answer(second, { type: 'voteResponse', term: 3, to: 3 })
      cluster.consensus.sent(second, vote)
    },
  ],
  [
    'leader append-only',
    'a leader that replaces its own entry',
    (cluster, [first]) => {
      first.write(entry(3, 1))
      cluster.step(first)
    },
  ],
  [
    'leader append-only',
    'a leader that cuts off its log',
    (cluster, [first]) => {
      first.entries = first.entries.slice(0, 2)
      first.state.lastIndex = 2
      cluster.step(first)
    },
  ],
  [
    'log matching',
    'two contents for one index and term',
    (cluster, [, second, third]) => {
      second.write(entry(4, 2))
      third.write(entry(4, 2, { data: Buffer.from('other') }))
      cluster.step(second, third)
    },
  ],
  [
    'log matching',
    'one entry behind two different ones',
    (cluster, [, second, third]) => {
      second.write(entry(4, 3))
      third.write(entry(3, 1), entry(4, 3))
      cluster.step(second, third)
    },
  ],
  [
    'commit immutability',
    'a committed entry that is replaced',
    (cluster, [, second]) => {
      second.write(entry(2, 3))
      cluster.step(second)
    },
  ],
  [
    'commit immutability',
    'two entries committed at one index',
    (cluster, [first, , third]) => {
      cluster.commit(first, 3)
      third.write(entry(3, 3))
      cluster.commit(third, 3)
    },
  ],
  [
    'commit in own term',
    'a leader that commits what an earlier one began',
    (cluster, [, second, third]) => {
      for (const node of [second, third]) node.vote(3, 2)
      cluster.lead(second, 3)
      cluster.commit(second, 3)
    },
  ],
  [
    'durable commit',
    'an entry that only its leader has durably',
    (cluster, [first]) => {
      first.write(entry(4, 2))
      cluster.commit(first, 4)
    },
  ],
  [
    'durable commit',
    'an entry that others have in memory alone',
    (cluster, [first, ...others]) => {
      for (const node of cluster.nodes) node.write(entry(4, 2))
      for (const node of others) node.onDisk.entries.pop()
      cluster.commit(first, 4)
    },
  ],
  [
    'durable commit',
    'an entry that has one majority of two',
    (cluster, [first, second]) => {
      first.state.confState = { ...VOTERS, voters: [1, 2, 3], votersOutgoing: [3, 4, 5] }
      cluster.step(first)
      for (const node of [first, second]) node.write(entry(4, 2))
      cluster.commit(first, 4)
    },
  ],
  [
    'leader completeness',
    'a leader that lacks what is committed',
    (cluster, [first, second]) => {
      cluster.commit(first, 3)
      second.write(entry(3, 1))
      for (const node of cluster.nodes) node.vote(3, 2)
      cluster.lead(second, 3)
    },
  ],
  [
    'leader completeness',
    'a commit that the next leader lacks',
    (cluster, [first, second]) => {
      second.write(entry(3, 1))
      for (const node of cluster.nodes) node.vote(3, 2)
      cluster.lead(second, 3)
      cluster.commit(first, 3)
    },
  ],
  [
    'acknowledgements',
    'an entry that is not on the disk',
    (cluster, [, second]) => {
      second.onDisk.entries.pop()
      cluster.consensus.sent(second, cluster.answer(second, { index: 3 }))
    },
  ],
  [
    'acknowledgements',
    "an entry that is not the leader's",
    (cluster, [, second]) => {
      second.write(entry(3, 1))
      cluster.consensus.sent(second, cluster.answer(second, { index: 3 }))
    },
  ],
  [
    'acknowledgements',
    'a refusal in a term that is not on the disk',
    (cluster, [, second]) => {
      cluster.consensus.sent(second, cluster.answer(second, { term: 3, reject: true }))
    },
  ],
  [
    'acknowledgements',
    'a vote that is not on the disk',
    (cluster, [, second]) => {
      second.vote(3, 0)
      const vote = cluster.answer(second, { type: 'voteResponse', term: 3, to: 3 })
      cluster.consensus.sent(second, vote)
    },
  ],
  [
    'order of indexes',
    'more applied than committed',
    (cluster, [, second]) => {
      second.state.applied = 3
      cluster.step(second)
    },
  ],
  [
    'order of indexes',
    'more committed than there is',
    (cluster, [, , third]) => {
      third.state.lastIndex = 1
      cluster.step(third)
    },
  ],
  [
    'order of indexes',
    'entries compacted that are not applied',
    (cluster, [, second]) => {
      cluster.commit(second, 3)
      second.base = { index: 3, term: 2 }
      second.entries = []
      cluster.step(second)
    },
  ],
  [
    'order of indexes',
    'a member that has more than it is to be sent',
    (cluster, [first]) => {
      first.state.progress = [{ id: 2, match: 3, next: 3, inflight: 0 }]
      cluster.step(first)
    },
  ],
  [
    'flow control',
    'more messages on their way than fit',
    (cluster, [first]) => {
      first.state.progress = [{ id: 2, match: 2, next: 3, inflight: 257 }]
      cluster.step(first)
    },
  ],
  [
    'flow control',
    'more uncommitted bytes than allowed',
    (cluster, [first]) => {
      first.state.uncommittedBytes = 2 ** 26 + 1
      cluster.step(first)
    },
  ],
  [
    'one configuration change',
    'a second one before the first is applied',
    (cluster, [first]) => {
      first.write(entry(4, 2, { type: 'confChangeV2' }), entry(5, 2, { type: 'confChangeV2' }))
      cluster.step(first)
    },
  ],
]

describe('the rules of consensus', () => {
  for (const [rule, what, breach] of breaches) {
    it(`${rule}: find ${what}`, () => {
      const cluster = new Cluster()
      breach(cluster, cluster.nodes)
      assert.deepEqual([...new Set(cluster.broken)], [rule])
    })
  }

  it('are content with a new leader that overwrites what an old one could not commit', () => {
    const cluster = new Cluster()
    const [first, second, third] = cluster.nodes
    first.write(entry(4, 2))
    cluster.step(first)
    for (const node of [second, third]) node.vote(3, 2)
    cluster.lead(second, 3)
    for (const node of cluster.nodes) node.write(entry(4, 3))
    first.vote(3, 0)
    first.state.role = 'follower'
    first.state.term = 3
    cluster.step(...cluster.nodes)
    for (const node of cluster.nodes) cluster.commit(node, 4)
    assert.deepEqual(cluster.broken, [])
    assert.ok(cluster.consensus.reached.has('an old leader was overwritten'))
  })

  it('are content with a leader that hears of its votes when later terms have committed', () => {
    const cluster = new Cluster()
    const [first, second] = cluster.nodes
    for (const node of cluster.nodes) node.vote(3, 2)
    // A commit has all disks looked at.
    cluster.commit(first, 3)
    for (const node of cluster.nodes) node.vote(4, 1)
    cluster.lead(first, 4)
    for (const node of cluster.nodes) if (node !== second) node.write(entry(4, 4))
    cluster.commit(first, 4)
    cluster.lead(second, 3)
    assert.deepEqual(cluster.broken, [])
  })

  it('are content with a snapshot whose databases are still on their way', () => {
    const cluster = new Cluster()
    const [first, second, third] = cluster.nodes
    for (const node of [first, second]) node.write(entry(4, 2), entry(5, 2))
    cluster.commit(first, 5)
    third.base = { index: 5, term: 2 }
    third.entries = []
    third.onDisk = { ...third.onDisk, entries: [], compacted: 5 }
    third.state.lastIndex = 5
    cluster.commit(third, 5)
    cluster.consensus.sent(third, cluster.answer(third, { index: 5 }))
    assert.deepEqual(cluster.broken, [])
    assert.ok(cluster.consensus.reached.has('a snapshot took the place of a log'))
  })

  it('are content with an answer that a later term overtook on its way to the disk', () => {
    const cluster = new Cluster()
    const [, second] = cluster.nodes
    second.vote(3, 0)
    second.write(entry(3, 3))
    cluster.consensus.sent(second, cluster.answer(second, { index: 5 }))
    assert.deepEqual(cluster.broken, [])
  })

  it('look at a node only when its turn is done', () => {
    const cluster = new Cluster()
    const [first] = cluster.nodes
    first.state.commit = 3
    first.state.lastIndex = 4
    first.state.hasReady = () => true
    cluster.step(first)
    assert.deepEqual(cluster.broken, [])
  })
})
