import { assert } from '../base/assert.ts'
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import type {
  ConfState,
  Entry,
  EntryType,
  MemberId,
  Message,
  MessageType,
  Snapshot,
} from '../raft/types.ts'

/** Raised with every change of the layout; a reader refuses what it does not know. */
const MESSAGE_FORMAT = 1

/**
 * The types that travel, by their number on the wire. The others are the core's talk with its own
 * node: from the network they would be forgeries, so they have no number.
 */
const TYPE_BY_CODE: readonly (MessageType | undefined)[] = [
  undefined,
  'propose',
  'append',
  'appendResponse',
  'vote',
  'voteResponse',
  'snapshot',
  'heartbeat',
  'heartbeatResponse',
  'transferLeader',
  'timeoutNow',
  'readIndex',
  'readIndexResponse',
  'preVote',
  'preVoteResponse',
]
const ENTRY_TYPE_BY_CODE: readonly EntryType[] = ['normal', 'confChange', 'confChangeV2']

const ENTRY_HEADER_BYTES = 8 + 8 + 1 + 4
const REJECT_FLAG = 1
const SNAPSHOT_FLAG = 2

/** Whether a message of this type can be sent to another member at all. */
export function isWireMessage(type: MessageType): boolean {
  return TYPE_BY_CODE.includes(type)
}

/**
 * One message as parts to be sent one after the other: everything of our own first, then the
 * entries' data untouched, so that the bytes that go to the log are the bytes that go to the wire.
 */
export function encodeMessage(message: Message): Uint8Array[] {
  const code = TYPE_BY_CODE.indexOf(message.type)
  assert(code > 0, `a message of type ${message.type} never leaves its node`)
  assert(message.responses.length === 0, 'a message that is sent carries no responses')
  const { snapshot, entries } = message
  const writer = new ByteWriter(96 + entries.length * ENTRY_HEADER_BYTES)
  writer.u8(MESSAGE_FORMAT).u8(code)
  writer.u8((message.reject ? REJECT_FLAG : 0) | (snapshot === null ? 0 : SNAPSHOT_FLAG))
  writer.u53(message.from).u53(message.to).u53(message.term)
  writer.u53(message.logTerm).u53(message.index).u53(message.commit)
  writer.u53(message.vote).u53(message.rejectHint)
  writer.blob(message.context)
  if (snapshot !== null) encodeSnapshot(writer, snapshot)
  writer.u32(entries.length)
  for (const entry of entries) {
    writer.u53(entry.index).u53(entry.term).u8(ENTRY_TYPE_BY_CODE.indexOf(entry.type))
    writer.u32(entry.data.length)
  }
  const parts: Uint8Array[] = [writer.finish()]
  for (const entry of entries) if (entry.data.length > 0) parts.push(entry.data)
  return parts
}

function encodeSnapshot(writer: ByteWriter, snapshot: Snapshot): void {
  const { index, term, confState } = snapshot.meta
  writer.u53(index).u53(term).flag(confState.autoLeave)
  for (const members of [
    confState.voters,
    confState.learners,
    confState.votersOutgoing,
    confState.learnersNext,
  ]) {
    writer.u32(members.length)
    for (const member of members) writer.u53(member)
  }
  writer.blob(snapshot.data)
}

/**
 * The message that `bytes` hold, or null if they hold none. Data and context are views of `bytes`.
 */
export function decodeMessage(bytes: Uint8Array): Message | null {
  try {
    return readMessage(new ByteReader(bytes))
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

function readMessage(reader: ByteReader): Message {
  if (reader.u8() !== MESSAGE_FORMAT) throw new DecodeError('an unknown message format')
  const type = TYPE_BY_CODE[reader.u8()]
  if (type === undefined) throw new DecodeError('an unknown message type')
  const flags = reader.u8()
  if (flags > (REJECT_FLAG | SNAPSHOT_FLAG)) throw new DecodeError('unknown flags')
  const head = {
    type,
    from: reader.u53(),
    to: reader.u53(),
    term: reader.u53(),
    logTerm: reader.u53(),
    index: reader.u53(),
    commit: reader.u53(),
    vote: reader.u53(),
    reject: (flags & REJECT_FLAG) !== 0,
    rejectHint: reader.u53(),
    context: reader.blob(),
  }
  const snapshot = (flags & SNAPSHOT_FLAG) === 0 ? null : readSnapshot(reader)
  if ((type === 'snapshot') !== (snapshot !== null)) {
    throw new DecodeError('a snapshot belongs to messages of that type and to no others')
  }
  const entries = readEntries(reader)
  reader.end()
  if (type === 'append') checkContiguous(head.index, entries)
  return { ...head, snapshot, entries, responses: [] }
}

function readEntries(reader: ByteReader): Entry[] {
  const count = reader.count(ENTRY_HEADER_BYTES)
  const headers: { index: number; term: number; type: EntryType; sizeBytes: number }[] = []
  for (let i = 0; i < count; i += 1) {
    const index = reader.u53()
    const term = reader.u53()
    const type = ENTRY_TYPE_BY_CODE[reader.u8()]
    if (type === undefined) throw new DecodeError('an unknown entry type')
    headers.push({ index, term, type, sizeBytes: reader.u32() })
  }
  return headers.map(({ index, term, type, sizeBytes }) => ({
    index,
    term,
    type,
    data: reader.raw(sizeBytes),
  }))
}

/** The log asserts this, and a peer's bytes must never be what breaks an assertion. */
function checkContiguous(previousIndex: number, entries: readonly Entry[]): void {
  entries.forEach((entry, i) => {
    if (entry.index !== previousIndex + 1 + i) throw new DecodeError('entries are not contiguous')
  })
}

function readSnapshot(reader: ByteReader): Snapshot {
  const index = reader.u53()
  const term = reader.u53()
  const autoLeave = reader.flag()
  const confState: ConfState = {
    voters: readMembers(reader),
    learners: readMembers(reader),
    votersOutgoing: readMembers(reader),
    learnersNext: readMembers(reader),
    autoLeave,
  }
  return { meta: { index, term, confState }, data: reader.blob() }
}

function readMembers(reader: ByteReader): MemberId[] {
  const count = reader.count(8)
  const members: MemberId[] = []
  for (let i = 0; i < count; i += 1) members.push(reader.u53())
  return members
}
