import { isWellFormed } from './conf-change.ts'
import { decodeConfChange } from './conf-change-codec.ts'
import {
  APPEND_THREAD,
  APPLY_THREAD,
  type Entry,
  type MemberId,
  type Message,
  type MessageType,
  NO_MEMBER,
  type Snapshot,
} from './types.ts'

export const NO_BYTES: Uint8Array = new Uint8Array(0)
export const NO_ENTRIES: readonly Entry[] = Object.freeze([])
const NO_MESSAGES: readonly Message[] = Object.freeze([])

/** Beyond any honest index or term, and small enough that adding one stays exact. */
const NUMBER_MAX = 2 ** 52

/** Marks the vote requests of a leadership transfer, which a lease must not stop. */
export const TRANSFER_MARK: Uint8Array = new TextEncoder().encode('CampaignTransfer')

/** A message still being filled in by the core. */
export type Draft = { -readonly [Key in keyof Message]: Message[Key] }

/** Every message has the same fields in the same order, which keeps the hot path monomorphic. */
export function createMessage(type: MessageType, from: MemberId, to: MemberId): Draft {
  return {
    type,
    from,
    to,
    term: 0,
    logTerm: 0,
    index: 0,
    commit: 0,
    vote: NO_MEMBER,
    reject: false,
    rejectHint: 0,
    entries: NO_ENTRIES,
    snapshot: null,
    context: NO_BYTES,
    responses: NO_MESSAGES,
  }
}

/** Where a message may come from: this node's own threads, any peer, or either. */
type Origin = 'local' | 'peer' | 'request'

const ORIGINS: Readonly<Record<MessageType, Origin>> = {
  hup: 'local',
  beat: 'local',
  unreachable: 'local',
  snapshotStatus: 'local',
  checkQuorum: 'local',
  storageAppend: 'local',
  storageAppendResponse: 'local',
  storageApply: 'local',
  storageApplyResponse: 'local',
  forgetLeader: 'local',
  // Requests are passed on to the leader of whatever term it is, so they carry none.
  propose: 'request',
  readIndex: 'request',
  transferLeader: 'peer',
  append: 'peer',
  appendResponse: 'peer',
  vote: 'peer',
  voteResponse: 'peer',
  snapshot: 'peer',
  heartbeat: 'peer',
  heartbeatResponse: 'peer',
  timeoutNow: 'peer',
  readIndexResponse: 'peer',
  preVote: 'peer',
  preVoteResponse: 'peer',
}

export function isLocalType(type: MessageType): boolean {
  return ORIGINS[type] === 'local'
}

/** Answers make sense only from members that are tracked. */
export function isResponseType(type: MessageType): boolean {
  return type.endsWith('Response')
}

export function isLocalThread(id: MemberId): boolean {
  return id === APPEND_THREAD || id === APPLY_THREAD
}

/**
 * Whether the core may look at this message at all. What a peer sends has been decoded from bytes,
 * so nothing about it is taken for granted: the core's own arithmetic relies on what is checked.
 */
export function isWellFormedMessage(message: Message): boolean {
  const origin = Object.hasOwn(ORIGINS, message.type) ? ORIGINS[message.type] : undefined
  if (origin === undefined) return false
  if (!Number.isSafeInteger(message.from) || !Number.isSafeInteger(message.to)) return false
  if (!isCount(message.term) || !isCount(message.logTerm) || !isCount(message.index)) return false
  if (!isCount(message.commit) || !isCount(message.rejectHint)) return false
  if (!isCount(message.vote) || typeof message.reject !== 'boolean') return false
  if (!(message.context instanceof Uint8Array) || !Array.isArray(message.entries)) return false
  if (origin === 'local') return true
  if (message.from <= 0 || !canBeFrom(message)) return false
  if (origin === 'request') return message.term === 0 && hasRequestEntries(message)
  if (message.term === 0) return false
  if (message.type === 'append') return hasLogEntries(message)
  if (message.type === 'snapshot') return hasSnapshot(message.snapshot, message.term)
  return message.type !== 'readIndexResponse' || message.entries.every(isEntry)
}

/** A member votes for itself and acknowledges to itself, but neither leads nor asks itself. */
function canBeFrom({ type, from, to, term }: Message): boolean {
  if (from !== to || term === 0) return true
  if (type === 'appendResponse' || type === 'transferLeader') return true
  return type === 'voteResponse' || type === 'preVoteResponse'
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= NUMBER_MAX
}

function isEntry(entry: Entry): boolean {
  if (typeof entry !== 'object' || entry === null) return false
  const { type } = entry
  if (type !== 'normal' && type !== 'confChange' && type !== 'confChangeV2') return false
  return isCount(entry.index) && isCount(entry.term) && entry.data instanceof Uint8Array
}

function hasRequestEntries(message: Message): boolean {
  if (message.entries.length === 0) return false
  for (const entry of message.entries) {
    if (!isEntry(entry)) return false
    if (entry.type !== 'normal' && decodeConfChange(entry.data) === null) return false
  }
  return true
}

/** Entries follow on from the anchor one by one, and their terms never fall. */
function hasLogEntries(message: Message): boolean {
  let index = message.index
  let term = message.logTerm
  if (term > message.term) return false
  for (const entry of message.entries) {
    if (!isEntry(entry)) return false
    index++
    if (entry.index !== index || entry.term < term || entry.term > message.term) return false
    term = entry.term
  }
  return true
}

function hasSnapshot(snapshot: Snapshot | null, termMax: number): boolean {
  if (typeof snapshot !== 'object' || snapshot === null) return false
  const { meta } = snapshot
  if (typeof meta !== 'object' || meta === null || typeof meta.confState !== 'object') return false
  if (!isCount(meta.index) || !isCount(meta.term) || meta.index === 0) return false
  return meta.term <= termMax && meta.confState !== null && isWellFormed(meta.confState)
}
