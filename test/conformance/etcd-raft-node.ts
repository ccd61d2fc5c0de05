import {
  APPEND_THREAD,
  type ConfState,
  decodeConfChange,
  EMPTY_CONF_STATE,
  type Entry,
  type HardState,
  type Message,
  Raft,
  type RaftConfig,
  type Snapshot,
  type TraceEvent,
} from '../../src/raft/raft.ts'
import { MemoryStorage } from '../raft/memory-storage.ts'
import { type Argument, valuesOf } from './etcd-raft-scenario.ts'

/** What `add-nodes` can ask for. */
export interface NodeOptions {
  readonly snapshot: Snapshot
  readonly isBootstrapped: boolean
  readonly config: Partial<RaftConfig>
}

export function parseNodeOptions(args: readonly Argument[]): NodeOptions {
  const number = (key: string): number | undefined => {
    const value = valuesOf(args, key)[0]
    return value === undefined ? undefined : Number(value)
  }
  const flag = (key: string): boolean => valuesOf(args, key)[0] === 'true'
  const readOnly = valuesOf(args, 'read-only')[0] ?? 'safe'
  if (readOnly !== 'safe' && readOnly !== 'lease-based') {
    throw new Error(`invalid read-only option "${readOnly}"`)
  }
  const voters = valuesOf(args, 'voters').map(Number)
  const learners = valuesOf(args, 'learners').map(Number)
  const content = valuesOf(args, 'content')[0] ?? ''
  const index = number('index') ?? 0
  const isBootstrapped = voters.length + learners.length + content.length + index > 0
  const confState: ConfState = { ...EMPTY_CONF_STATE, voters, learners }
  const data = new TextEncoder().encode(content)
  return {
    snapshot: { meta: { index, term: isBootstrapped ? 1 : 0, confState }, data },
    isBootstrapped,
    config: {
      appliedIndex: index,
      inflightMessagesMax: number('inflight') ?? 2 ** 31 - 1,
      asyncStorageWrites: flag('async-storage-writes'),
      preVote: flag('prevote'),
      checkQuorum: flag('checkquorum'),
      committedBytesMax: number('max-committed-size-per-ready') ?? 0,
      disableConfChangeValidation: flag('disable-conf-change-validation'),
      stepDownOnRemoval: flag('step-down-on-removal'),
      readOnly: readOnly === 'safe' ? 'safe' : 'lease',
    },
  }
}

/** One member of a scenario: the core, its storage, its two work queues, and its past states. */
export class ScenarioNode {
  readonly id: number
  readonly raft: Raft
  readonly storage: MemoryStorage = new MemoryStorage()
  readonly config: RaftConfig
  readonly appendWork: Message[] = []
  readonly applyWork: Message[] = []
  /** A snapshot after each applied entry; the state machine appends what it is given. */
  readonly #history: Snapshot[]

  constructor(id: number, options: NodeOptions, trace: (event: TraceEvent) => void) {
    this.id = id
    if (options.isBootstrapped) {
      if (options.snapshot.meta.index <= 1) {
        throw new Error('index must be specified as > 1 due to bootstrap')
      }
      this.storage.applySnapshot(options.snapshot)
    }
    this.#history = [options.snapshot]
    this.storage.snapshotSource = () => this.lastSnapshot()
    this.config = {
      id,
      storage: this.storage,
      appliedIndex: 0,
      electionTicks: 3,
      heartbeatTicks: 1,
      asyncStorageWrites: false,
      messageBytesMax: Number.POSITIVE_INFINITY,
      committedBytesMax: 0,
      uncommittedBytesMax: 0,
      inflightMessagesMax: 2 ** 31 - 1,
      inflightBytesMax: 0,
      checkQuorum: false,
      preVote: false,
      readOnly: 'safe',
      disableProposalForwarding: false,
      disableConfChangeValidation: false,
      stepDownOnRemoval: false,
      random: () => 0,
      trace,
      ...options.config,
    }
    this.raft = new Raft(this.config)
  }

  lastSnapshot(): Snapshot {
    return this.#history.at(-1)!
  }

  persist(hardState: HardState | null, entries: readonly Entry[], snapshot: Snapshot | null): void {
    if (hardState !== null) this.storage.hardState = hardState
    if (snapshot === null) {
      this.storage.append(entries)
      return
    }
    if (entries.length > 0) throw new Error("can't apply snapshot and entries at the same time")
    this.storage.applySnapshot(snapshot)
  }

  apply(entries: readonly Entry[]): void {
    for (const { index, term, type, data } of entries) {
      const last = this.lastSnapshot()
      let { confState } = last.meta
      let update = data
      if (type !== 'normal') {
        const change = decodeConfChange(data)
        if (change === null) throw new Error('an undecodable configuration change')
        confState = this.raft.applyConfChange(change)
        update = change.context
      }
      const content = new Uint8Array(last.data.length + update.length)
      content.set(last.data)
      content.set(update, last.data.length)
      this.#history.push({ meta: { index, term, confState }, data: content })
    }
  }

  /** Files a message for this node's own threads; false if it is for a peer. */
  queueLocal(message: Message): boolean {
    if (message.to > 0) return false
    if (message.to === APPEND_THREAD) this.appendWork.push(message)
    else this.applyWork.push(message)
    return true
  }
}

export function hardStateOf({ term, vote, commit }: Message): HardState | null {
  return term + vote + commit === 0 ? null : { term, vote, commit }
}
