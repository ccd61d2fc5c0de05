import {
  APPEND_THREAD,
  APPLY_THREAD,
  type ConfChange,
  type ConfChangeSingle,
  type ConfState,
  decodeConfChange,
  type Entry,
  type HardState,
  type Message,
  type MessageType,
  type Ready,
  type Role,
  type Snapshot,
} from '../../src/raft/raft.ts'

/** The text that etcd/raft's own tests print for its values, whose names differ from ours. */

const MESSAGE_NAMES: Readonly<Record<MessageType, string>> = {
  hup: 'MsgHup',
  beat: 'MsgBeat',
  propose: 'MsgProp',
  append: 'MsgApp',
  appendResponse: 'MsgAppResp',
  vote: 'MsgVote',
  voteResponse: 'MsgVoteResp',
  snapshot: 'MsgSnap',
  heartbeat: 'MsgHeartbeat',
  heartbeatResponse: 'MsgHeartbeatResp',
  unreachable: 'MsgUnreachable',
  snapshotStatus: 'MsgSnapStatus',
  checkQuorum: 'MsgCheckQuorum',
  transferLeader: 'MsgTransferLeader',
  timeoutNow: 'MsgTimeoutNow',
  readIndex: 'MsgReadIndex',
  readIndexResponse: 'MsgReadIndexResp',
  preVote: 'MsgPreVote',
  preVoteResponse: 'MsgPreVoteResp',
  storageAppend: 'MsgStorageAppend',
  storageAppendResponse: 'MsgStorageAppendResp',
  storageApply: 'MsgStorageApply',
  storageApplyResponse: 'MsgStorageApplyResp',
  forgetLeader: 'MsgForgetLeader',
}

const ROLE_NAMES: Readonly<Record<Role, string>> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  precandidate: 'StatePreCandidate',
  leader: 'StateLeader',
}

const STATE_NAMES = { probe: 'StateProbe', replicate: 'StateReplicate', snapshot: 'StateSnapshot' }

const ENTRY_NAMES: Readonly<Record<Entry['type'], string>> = {
  normal: 'EntryNormal',
  confChange: 'EntryConfChange',
  confChangeV2: 'EntryConfChangeV2',
}

const CHANGE_LETTERS: Readonly<Record<ConfChangeSingle['type'], string>> = {
  addNode: 'v',
  addLearner: 'l',
  removeNode: 'r',
  updateNode: 'u',
}

const CHANGE_NAMES: Readonly<Record<ConfChangeSingle['type'], string>> = {
  addNode: 'ConfChangeAddNode',
  addLearner: 'ConfChangeAddLearnerNode',
  removeNode: 'ConfChangeRemoveNode',
  updateNode: 'ConfChangeUpdateNode',
}

const TRANSITION_NAMES: Readonly<Record<ConfChange['transition'], string>> = {
  auto: 'ConfChangeTransitionAuto',
  jointImplicit: 'ConfChangeTransitionJointImplicit',
  jointExplicit: 'ConfChangeTransitionJointExplicit',
}

export function nameRole(role: Role): string {
  return ROLE_NAMES[role]
}

export function nameMessageType(type: MessageType): string {
  return MESSAGE_NAMES[type]
}

export function messageTypeOf(name: string): MessageType {
  const found = Object.entries(MESSAGE_NAMES).find(([, each]) => each === name)
  if (found === undefined) throw new Error(`unknown message type ${name}`)
  return found[0] as MessageType
}

export function hex(id: number): string {
  return id.toString(16)
}

const ESCAPES: Readonly<Record<string, string>> = {
  '\x07': '\\a',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
  '"': '\\"',
  '\\': '\\\\',
}

/** Go's %q of a byte slice. */
export function quote(bytes: Uint8Array): string {
  let text = ''
  let at = 0
  while (at < bytes.length) {
    const size = sequenceLength(bytes, at)
    const char = size === 0 ? '' : new TextDecoder().decode(bytes.subarray(at, at + size))
    if (char === '') text += `\\x${bytes[at]!.toString(16).padStart(2, '0')}`
    else text += quoteChar(char)
    at += Math.max(size, 1)
  }
  return `"${text}"`
}

function quoteChar(char: string): string {
  const escaped = ESCAPES[char]
  if (escaped !== undefined) return escaped
  if (/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(char)) return char
  const code = char.codePointAt(0)!
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code > 0xffff) return `\\U${code.toString(16).padStart(8, '0')}`
  return `\\u${code.toString(16).padStart(4, '0')}`
}

/** Bytes of the UTF-8 sequence at `at`; 0 if there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  for (let size = 1; size <= 4; size++) {
    try {
      new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at, at + size))
      return at + size <= bytes.length ? size : 0
    } catch {}
  }
  return 0
}

export function describeEntry(entry: Entry): string {
  let text = quote(entry.data)
  if (entry.type !== 'normal') {
    const change = decodeConfChange(entry.data)
    text = change === null ? 'garbage' : describeChanges(change.changes)
  }
  const suffix = text === '' ? '' : ` ${text}`
  return `${entry.term}/${entry.index} ${ENTRY_NAMES[entry.type]}${suffix}`
}

export function describeEntries(entries: readonly Entry[]): string {
  return entries.map((entry) => `${describeEntry(entry)}\n`).join('')
}

export function describeChanges(changes: readonly ConfChangeSingle[]): string {
  return changes.map(({ type, id }) => `${CHANGE_LETTERS[type]}${id}`).join(' ')
}

export function parseChanges(text: string): ConfChangeSingle[] {
  const tokens = text
    .trim()
    .split(/\s+/)
    .filter((token) => token !== '')
  return tokens.map((token) => {
    const found = Object.entries(CHANGE_LETTERS).find(([, letter]) => letter === token[0])
    const id = Number(token.slice(1))
    if (found === undefined || !Number.isSafeInteger(id)) throw new Error(`unknown input: ${token}`)
    return { type: found[0] as ConfChangeSingle['type'], id }
  })
}

/** A change as the text form of its protocol buffer. */
export function describeProto(entryType: Entry['type'], change: ConfChange): string {
  const each = change.changes.map(({ type, id }) => `type:${CHANGE_NAMES[type]} node_id:${id}`)
  if (entryType === 'confChange') return each.join(' ')
  const transition = `transition:${TRANSITION_NAMES[change.transition]}`
  return [transition, ...each.map((text) => `changes:{${text}}`)].join(' ')
}

/** A configuration as the tracker prints it: `voters=(1 2)&&(1) learners=(3) autoleave`. */
export function describeConfiguration(state: ConfState): string {
  const set = (ids: readonly number[]): string => `(${ids.join(' ')})`
  let text = `voters=${set(state.voters)}`
  if (state.votersOutgoing.length > 0) text += `&&${set(state.votersOutgoing)}`
  if (state.learners.length > 0) text += ` learners=${set(state.learners)}`
  if (state.learnersNext.length > 0) text += ` learners_next=${set(state.learnersNext)}`
  return state.autoLeave ? `${text} autoleave` : text
}

export function describeConfState(state: ConfState): string {
  const list = (ids: readonly number[]): string => `[${ids.join(' ')}]`
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = state
  const outgoing = `VotersOutgoing:${list(votersOutgoing)}`
  const rest = `Learners:${list(learners)} LearnersNext:${list(learnersNext)}`
  return `Voters:${list(voters)} ${outgoing} ${rest} AutoLeave:${autoLeave}`
}

function describeSnapshot({ meta }: Snapshot): string {
  return `Index:${meta.index} Term:${meta.term} ConfState:${describeConfState(meta.confState)}`
}

function describeHardState({ term, vote, commit }: HardState): string {
  return `Term:${term}${vote === 0 ? '' : ` Vote:${vote}`} Commit:${commit}`
}

export function describeReady(ready: Ready): string {
  let text = ''
  const { softState, hardState, readStates, entries, snapshot, committedEntries, messages } = ready
  if (softState !== null) text += `Lead:${softState.leader} State:${ROLE_NAMES[softState.role]}\n`
  if (hardState !== null) text += `HardState ${describeHardState(hardState)}\n`
  if (readStates.length > 0) {
    const each = readStates.map(({ index, context }) => `{${index} [${context.join(' ')}]}`)
    text += `ReadStates [${each.join(' ')}]\n`
  }
  if (entries.length > 0) text += `Entries:\n${describeEntries(entries)}`
  if (snapshot !== null) text += `Snapshot ${describeSnapshot(snapshot)}\n`
  if (committedEntries.length > 0) {
    text += `CommittedEntries:\n${describeEntries(committedEntries)}`
  }
  if (messages.length > 0) {
    text += `Messages:\n${messages.map((each) => `${describeMessage(each)}\n`).join('')}`
  }
  return text === '' ? '<empty Ready>' : `Ready MustSync=${ready.mustSync}:\n${text}`
}

function describeTarget(id: number): string {
  if (id === 0) return 'None'
  if (id === APPEND_THREAD) return 'AppendThread'
  return id === APPLY_THREAD ? 'ApplyThread' : hex(id)
}

export function describeMessage(message: Message, indent = ''): string {
  const { type, from, to, term, logTerm, index, entries, snapshot, responses } = message
  const name = MESSAGE_NAMES[type]
  let text = `${indent}${describeTarget(from)}->${describeTarget(to)} ${name}`
  text += ` Term:${term} Log:${logTerm}/${index}`
  if (message.reject) text += ` Rejected (Hint: ${message.rejectHint})`
  if (message.commit !== 0) text += ` Commit:${message.commit}`
  if (message.vote !== 0) text += ` Vote:${message.vote}`
  if (entries.length === 1) {
    text += ` Entries:[${describeEntry(entries[0]!)}]`
  } else if (entries.length > 1) {
    const lines = entries.map((entry) => `\n${indent}  ${describeEntry(entry)}`)
    text += ` Entries:[${lines.join('')}\n${indent}]`
  }
  if (snapshot !== null) text += `\n${indent}  Snapshot: ${describeSnapshot(snapshot)}`
  if (responses.length > 0) {
    const lines = responses.map((each) => `\n${describeMessage(each, `${indent}  `)}`)
    text += ` Responses:[${lines.join('')}\n${indent}]`
  }
  return text
}

/** What is printed of a member's progress, whether it is live or from a status. */
export interface ProgressText {
  readonly state: keyof typeof STATE_NAMES
  readonly match: number
  readonly next: number
  readonly isLearner: boolean
  readonly paused: boolean
  readonly pendingSnapshot: number
  readonly recentActive: boolean
  readonly inflight: number
  readonly inflightFull: boolean
}

export function describeProgress(progress: ProgressText): string {
  let text = `${STATE_NAMES[progress.state]} match=${progress.match} next=${progress.next}`
  if (progress.isLearner) text += ' learner'
  if (progress.paused) text += ' paused'
  if (progress.pendingSnapshot > 0) text += ` pendingSnap=${progress.pendingSnapshot}`
  if (!progress.recentActive) text += ' inactive'
  if (progress.inflight > 0) {
    text += ` inflight=${progress.inflight}${progress.inflightFull ? '[full]' : ''}`
  }
  return text
}
