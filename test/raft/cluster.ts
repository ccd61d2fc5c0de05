import assert from 'node:assert/strict'
import {
  APPEND_THREAD,
  type ConfState,
  decodeConfChange,
  EMPTY_CONF_STATE,
  type Entry,
  type MemberId,
  type Message,
  Raft,
  type RaftConfig,
  type ReadState,
  type TraceCode,
} from '../../src/raft/raft.ts'
import { MemoryStorage } from './memory-storage.ts'

const ROUNDS_MAX = 10_000

const DEFAULTS: Omit<RaftConfig, 'id' | 'storage'> = {
  appliedIndex: 0,
  electionTicks: 10,
  heartbeatTicks: 1,
  asyncStorageWrites: true,
  messageBytesMax: 1 << 20,
  committedBytesMax: 0,
  uncommittedBytesMax: 0,
  inflightMessagesMax: 64,
  inflightBytesMax: 0,
  checkQuorum: true,
  preVote: true,
  readOnly: 'safe',
  disableProposalForwarding: false,
  disableConfChangeValidation: false,
  stepDownOnRemoval: true,
  random: () => 0,
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data)
}

export function confStateOf(voters: number[], learners: number[] = []): ConfState {
  return { ...EMPTY_CONF_STATE, voters, learners }
}

/** One member: the core, a disk that writes when it is told to, and a state machine. */
export class Member {
  readonly id: MemberId
  readonly storage: MemoryStorage
  readonly config: RaftConfig
  raft: Raft
  appendQueue: Message[] = []
  applyQueue: Message[] = []
  isAppendHeld = false
  isApplyHeld = false
  isDown = false
  applied: Entry[] = []
  readStates: ReadState[] = []
  traced: TraceCode[] = []

  constructor(id: MemberId, confState: ConfState, config: Partial<RaftConfig>) {
    this.id = id
    this.storage = new MemoryStorage(confState)
    this.config = {
      ...DEFAULTS,
      ...config,
      id,
      storage: this.storage,
      trace: (event) => this.traced.push(event.code),
    }
    this.raft = new Raft(this.config)
  }

  /** Loses everything that was not on disk, and starts again. */
  restart(config: Partial<RaftConfig> = {}): void {
    this.appendQueue = []
    this.applyQueue = []
    this.isAppendHeld = false
    this.isApplyHeld = false
    this.isDown = false
    this.applied = []
    this.readStates = []
    this.raft = new Raft({ ...this.config, ...config })
  }

  get values(): string[] {
    const isValue = ({ type, data }: Entry): boolean => type === 'normal' && data.length > 0
    return this.applied.filter(isValue).map((entry) => text(entry.data))
  }
}

/** Members on one thread, with a network that loses what `isLost` says. */
export class Cluster {
  readonly members: Member[]
  network: Message[] = []
  isLost: (message: Message) => boolean = () => false
  /** What was sent and delivered, from peer to peer. */
  readonly delivered: Message[] = []
  readonly #leaders = new Map<number, MemberId>()
  readonly #log = new Map<number, string>()
  readonly #confState: ConfState
  readonly #config: Partial<RaftConfig>

  constructor(confState: ConfState, config: Partial<RaftConfig> = {}) {
    this.#confState = confState
    this.#config = config
    const ids = [...confState.voters, ...confState.learners]
    this.members = ids.sort((a, b) => a - b).map((id) => new Member(id, confState, config))
  }

  /** A member that is started before anybody knows it. */
  addMember(id: MemberId): Member {
    const member = new Member(id, EMPTY_CONF_STATE, this.#config)
    this.members.push(member)
    return member
  }

  get voters(): readonly MemberId[] {
    return this.#confState.voters
  }

  member(id: MemberId): Member {
    const found = this.members.find((member) => member.id === id)
    assert(found !== undefined, `member ${id} exists`)
    return found
  }

  raft(id: MemberId): Raft {
    return this.member(id).raft
  }

  /** Everything to and from these members is lost from now on. */
  isolate(...ids: MemberId[]): void {
    this.isLost = ({ from, to }) => ids.includes(from) !== ids.includes(to)
  }

  heal(): void {
    this.isLost = () => false
  }

  elect(id: MemberId): void {
    this.raft(id).campaign()
    this.settle()
    assert.equal(this.raft(id).role, 'leader', `member ${id} leads`)
  }

  tick(id: MemberId, count = 1): void {
    for (let i = 0; i < count; i++) this.raft(id).tick()
  }

  tickAll(count = 1): void {
    for (let i = 0; i < count; i++) {
      for (const { isDown, raft } of this.members) if (!isDown) raft.tick()
      this.settle()
    }
  }

  leader(): Member | undefined {
    const leaders = this.members.filter((each) => !each.isDown && each.raft.role === 'leader')
    return leaders.sort((a, b) => b.raft.term - a.raft.term)[0]
  }

  propose(id: MemberId, ...values: string[]): void {
    assert.equal(this.raft(id).propose(values.map(bytes)), 'ok')
  }

  /** Runs until nothing is left to do but what is held or lost. */
  settle(): void {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      let hasWorked = false
      for (const member of this.members) hasWorked = this.pump(member) || hasWorked
      if (!this.deliverAll() && !hasWorked) return
    }
    assert.fail('the cluster never comes to rest')
  }

  /** Takes one member's Ready and lets its disk and state machine work, unless held. */
  pump(member: Member): boolean {
    if (member.isDown) return false
    let hasWorked = false
    if (member.raft.hasReady()) {
      hasWorked = true
      this.takeReady(member)
    }
    while (!member.isAppendHeld && this.writeNext(member)) hasWorked = true
    while (!member.isApplyHeld && this.applyNext(member)) hasWorked = true
    return hasWorked
  }

  takeReady(member: Member): void {
    const ready = member.raft.takeReady()
    this.#checkLeader(member.raft)
    member.readStates.push(...ready.readStates)
    for (const message of ready.messages) {
      if (message.to === APPEND_THREAD) member.appendQueue.push(message)
      else if (message.to < 0) member.applyQueue.push(message)
      else this.network.push(message)
    }
  }

  /** One write to disk completes; false if none is under way. */
  writeNext(member: Member): boolean {
    const message = member.appendQueue.shift()
    if (message === undefined) return false
    const { term, vote, commit, entries, snapshot } = message
    if (term + vote + commit > 0) member.storage.hardState = { term, vote, commit }
    if (snapshot !== null) member.storage.applySnapshot(snapshot)
    member.storage.append(entries)
    this.#respond(member, message)
    return true
  }

  applyNext(member: Member): boolean {
    const message = member.applyQueue.shift()
    if (message === undefined) return false
    for (const entry of message.entries) {
      this.#checkApplied(member, entry)
      member.applied.push(entry)
      if (entry.type === 'normal') continue
      const change = decodeConfChange(entry.data)
      assert(change !== null, 'changes in the log decode')
      member.raft.applyConfChange(change)
    }
    this.#respond(member, message)
    return true
  }

  deliverAll(): boolean {
    const messages = this.network
    this.network = []
    for (const message of messages) if (!this.isLost(message)) this.deliver(message)
    return messages.length > 0
  }

  deliver(message: Message): void {
    const to = this.members.find((member) => member.id === message.to)
    if (to === undefined || to.isDown) return
    this.delivered.push(message)
    to.raft.step(message)
  }

  #respond(member: Member, { responses }: Message): void {
    for (const response of responses) {
      if (response.to === member.id) member.raft.step(response)
      else this.network.push(response)
    }
  }

  /** Paper figure 3, election safety. */
  #checkLeader({ id, role, term }: Raft): void {
    if (role !== 'leader') return
    const known = this.#leaders.get(term) ?? id
    assert.equal(known, id, `one leader in term ${term}`)
    this.#leaders.set(term, id)
  }

  /** Paper figure 3, state machine safety; and nobody skips or repeats an entry. */
  #checkApplied(member: Member, { index, term, data }: Entry): void {
    const last = member.applied.at(-1)
    if (last !== undefined) assert.ok(index > last.index, 'applied in order')
    const value = `${term}:${text(data)}`
    assert.equal(this.#log.get(index) ?? value, value, `one entry at index ${index}`)
    this.#log.set(index, value)
  }
}

/** A message as a peer would send it. */
export function messageFrom(fields: Partial<Message> & Pick<Message, 'type'>): Message {
  return {
    from: 2,
    to: 1,
    term: 0,
    logTerm: 0,
    index: 0,
    commit: 0,
    vote: 0,
    reject: false,
    rejectHint: 0,
    entries: [],
    snapshot: null,
    context: new Uint8Array(0),
    responses: [],
    ...fields,
  }
}

export function entryAt(index: number, term: number, value = `${term}/${index}`): Entry {
  return { index, term, type: 'normal', data: bytes(value) }
}

/** Entries 1 … n with these terms. */
export function entriesOf(...terms: number[]): Entry[] {
  return terms.map((term, i) => entryAt(i + 1, term))
}

/** Puts entries on a member's disk as if it had stored them in an earlier life. */
export function seed(member: Member, terms: number[], term: number, commit = 0): void {
  member.storage.append(entriesOf(...terms))
  member.storage.hardState = { term, vote: 0, commit }
  member.restart()
}
