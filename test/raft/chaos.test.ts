/**
 * Whole clusters under a random schedule: messages are lost, repeated and reordered, disks and
 * state machines lag, members crash and lose what was not on disk, configurations change. Each seed
 * replays exactly. The cluster itself checks election and state machine safety at every step.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ConfChangeSingle, Entry, Message } from '../../src/raft/raft.ts'
import { hasQuorum } from '../../src/raft/raft.ts'
import { bytes, Cluster, confStateOf, type Member } from './cluster.ts'

const STEPS = 1_500
const SEEDS = Array.from({ length: 60 }, (_, i) => i + 1)

type Random = (boundExclusive: number) => number

/** A small generator with a full period (mulberry32). */
function createRandom(seed: number): Random {
  let state = seed
  return (boundExclusive) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % boundExclusive
  }
}

interface Read {
  readonly member: Member
  readonly life: number
  readonly context: string
  /** The highest commit index anywhere when the read was asked for. */
  readonly indexMin: number
}

class Chaos {
  readonly cluster: Cluster
  readonly #random: Random
  readonly #reads = new Map<string, Read>()
  readonly #commits = new Map<Member, number>()
  readonly #lives = new Map<Member, number>()
  readonly #hasConfChanges: boolean
  #proposedCount = 0
  #cut: readonly number[] = []

  constructor(seed: number) {
    this.#random = createRandom(seed)
    this.#hasConfChanges = seed % 3 === 0
    this.cluster = new Cluster(confStateOf([1, 2, 3], seed % 2 === 0 ? [4] : []), {
      random: this.#random,
      electionTicks: 5,
      preVote: seed % 4 !== 0,
      checkQuorum: seed % 5 !== 0,
      messageBytesMax: seed % 7 === 0 ? 0 : 200,
      inflightMessagesMax: 3,
      committedBytesMax: 150,
    })
    for (const member of this.cluster.members) {
      member.isAppendHeld = true
      member.isApplyHeld = true
    }
    this.cluster.isLost = ({ from, to }) => this.#cut.includes(from) !== this.#cut.includes(to)
  }

  step(): void {
    const member = this.#pick(this.cluster.members)
    const kind = this.#random(100)
    if (kind < 20) member.raft.tick()
    else if (kind < 60) this.#deliverSome()
    else if (kind < 72) this.cluster.writeNext(member)
    else if (kind < 80) this.cluster.applyNext(member)
    else if (kind < 90) this.#propose(member)
    else if (kind < 94) this.#read(member)
    else if (kind < 95) this.#restart(member)
    else if (kind < 96) this.#cut = this.#random(2) === 0 ? [] : [1 + this.#random(4)]
    else if (kind < 97) member.raft.transferLeader(1 + this.#random(4))
    else if (kind < 98) this.#changeConfiguration(member)
    for (const each of this.cluster.members) this.#takeWork(each)
  }

  /** With every fault gone the cluster elects, commits, and all members end up equal. */
  recover(): void {
    this.#cut = []
    for (const member of this.cluster.members) {
      member.isAppendHeld = false
      member.isApplyHeld = false
    }
    this.cluster.settle()
    for (let i = 0; i < 400; i++) {
      this.cluster.tickAll()
      const leader = this.cluster.leader()
      if (leader?.raft.propose([bytes('last')]) === 'ok') break
    }
    this.cluster.tickAll(30)
    const leader = this.cluster.leader()
    assert.ok(leader !== undefined, 'the healed cluster elects')
    assert.ok(leader.values.includes('last'), 'and commits')
    const { voters, learners } = leader.raft.confState
    for (const id of [...voters, ...learners]) {
      assert.deepEqual(this.cluster.member(id).values, leader.values, `member ${id} has it all`)
    }
  }

  #pick<T>(from: readonly T[]): T {
    return from[this.#random(from.length)]!
  }

  #takeWork(member: Member): void {
    if (member.raft.hasReady()) this.cluster.takeReady(member)
    this.#checkCommit(member)
    this.#checkReads(member)
  }

  #deliverSome(): void {
    const { network } = this.cluster
    if (network.length === 0) return
    const at = this.#random(Math.min(network.length, 8))
    const message = network[at]!
    const fate = this.#random(20)
    if (fate !== 0) network.splice(at, 1)
    if (fate === 1 || this.cluster.isLost(message)) return
    this.#checkAcknowledgement(message)
    this.cluster.deliver(message)
  }

  #propose(member: Member): void {
    member.raft.propose([bytes(`${++this.#proposedCount}`)])
  }

  #read(member: Member): void {
    const context = `read ${this.#reads.size}`
    const indexMin = Math.max(...this.cluster.members.map(({ raft }) => raft.commit))
    const life = this.#lives.get(member) ?? 0
    this.#reads.set(context, { member, life, context, indexMin })
    member.raft.readIndex(bytes(context))
  }

  #restart(member: Member): void {
    member.restart()
    member.isAppendHeld = true
    member.isApplyHeld = true
    this.#commits.delete(member)
    this.#lives.set(member, (this.#lives.get(member) ?? 0) + 1)
  }

  #changeConfiguration(member: Member): void {
    if (!this.#hasConfChanges) return
    const types = ['addNode', 'removeNode', 'addLearner'] as const
    const changes: ConfChangeSingle[] = [{ type: this.#pick(types), id: 2 + this.#random(3) }]
    if (this.#random(2) === 0) changes.push({ type: this.#pick(types), id: 2 + this.#random(3) })
    member.raft.proposeConfChange({
      transition: this.#random(2) === 0 ? 'auto' : 'jointImplicit',
      changes,
      context: new Uint8Array(0),
    })
  }

  /** Paper §5.4: a leader commits only what a quorum of its configuration holds on disk. */
  #checkCommit(member: Member): void {
    const { raft } = member
    const before = this.#commits.get(member) ?? 0
    this.#commits.set(member, raft.commit)
    if (raft.role !== 'leader' || raft.commit <= before) return
    const entry = this.#durableEntry(raft.commit, raft.term)
    assert.ok(
      hasQuorum(raft.confState, (id) => this.#holds(this.cluster.member(id), entry)),
      `index ${raft.commit} is on the disks of a quorum`,
    )
  }

  #durableEntry(index: number, term: number): Pick<Entry, 'index' | 'term'> {
    return { index, term }
  }

  #holds({ storage }: Member, { index, term }: Pick<Entry, 'index' | 'term'>): boolean {
    return storage.term(index) === term
  }

  /** What a member acknowledges is on its disk (unless it crashed since, and said so before). */
  #checkAcknowledgement({ type, from, index, reject, term }: Message): void {
    if (type !== 'appendResponse' || reject) return
    const { storage } = this.cluster.member(from)
    if (storage.hardState.term !== term) return
    assert.ok(storage.lastIndex() >= index, `member ${from} holds what it acknowledges`)
  }

  /** Linearizable: a read sees everything that was committed anywhere when it was asked. */
  #checkReads(member: Member): void {
    for (const { index, context } of member.readStates) {
      const read = this.#reads.get(new TextDecoder().decode(context))
      assert.ok(read !== undefined)
      if (read.life === (this.#lives.get(member) ?? 0)) {
        assert.ok(index >= read.indexMin, `${read.context} at ${index} sees ${read.indexMin}`)
      }
    }
    member.readStates = []
  }
}

describe('random schedules', () => {
  for (const seed of SEEDS) {
    it(`keep every promise (seed ${seed})`, () => {
      const chaos = new Chaos(seed)
      for (let i = 0; i < STEPS; i++) chaos.step()
      chaos.recover()
    })
  }
})
