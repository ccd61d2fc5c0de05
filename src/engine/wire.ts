import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import { decodeMemberRecords, encodeMemberRecords, type MemberRecord } from '../command/command.ts'
import type { MemberId, MessageType } from '../raft/raft.ts'
import { type Lane, readError, writeError } from '../transport/transport.ts'
import type { Seeker, Stance } from './forming.ts'
import type { MemberChange, TrialStep } from './protocol.ts'

/** Kinds of frames between engines. Numbers are on the wire: never reuse one. */
export const FRAMES = {
  /** One consensus message, in the transport's encoding. */
  raft: 1,
  /** A command for the leader to propose. */
  forward: 2,
  /** The leader wants an origin's commands of one database again, from a sequence on. */
  refused: 3,
  /** Asks the leader for its commit index. */
  commitQuery: 4,
  commitAnswer: 5,
  /** As `forward`, and the leader expects this origin's next command after this one. */
  forwardRestart: 6,
  /** A member's own clocks, for the leader to send back; and how they come back, with an index. */
  stamp: 10,
  freshMark: 11,
  /** What members hold at one index: digests, or hashes of the content. */
  comparison: 12,
  /** The leader asks a voter to keep its vote; and for how long it does. */
  askPromise: 13,
  promise: 14,
} as const

/** Kinds of calls, which processes that are no members yet make too. */
export const CALLS = {
  join: 2,
  transfer: 3,
  changeMember: 4,
  isMember: 5,
  tryStatements: 6,
  endTrial: 7,
  forward: 10,
  /** About a hash of all content. */
  verify: 13,
  /** A member wants the leader's databases in place of its own. */
  reinstall: 14,
  /** A member that may have forgotten something wants to be another one. */
  rejoin: 15,
  /** Who is there: a member of a cluster, or a node that looks for one too. */
  meet: 16,
  /** Of the leader: to have an entry skipped. */
  skip: 17,
  /** Of any member: to stay where it stands at one, and to say where; to go on. */
  skipStand: 18,
  skipRelease: 19,
} as const

/**
 * All appends go one way, also those without entries: each stands on the one before it, and a
 * follower refuses one that came first, after which the leader must find out anew where it is.
 */
export function laneOf(type: MessageType): Lane {
  return type === 'append' ? 'bulk' : 'control'
}

/** From where the leader wants an origin's commands again. */
export interface Refusal {
  readonly database: string
  /** 0: from the first that is not applied. */
  readonly sequence: number
}

export function encodeRefusal(refusal: Refusal): Uint8Array {
  return new ByteWriter().u53(refusal.sequence).text(refusal.database).finish()
}

/** @throws DecodeError */
export function decodeRefusal(bytes: Uint8Array): Refusal {
  const reader = new ByteReader(bytes)
  const sequence = reader.u53()
  const database = reader.text()
  reader.end()
  return { sequence, database }
}

export function encodeNumbers(...numbers: readonly number[]): Uint8Array {
  const writer = new ByteWriter(8 * numbers.length)
  for (const number of numbers) writer.u53(number)
  return writer.finish()
}

/** Of what peers say of their clocks, more would fit into no number on the wire. */
const DIFFERENCE_MAX = 2 ** 52 - 1

/** A difference that may be unknown, among numbers that are never negative. */
export function fromDifference(value: number | null): number {
  if (value === null) return 0
  const bounded = Math.max(-DIFFERENCE_MAX, Math.min(DIFFERENCE_MAX, value))
  return bounded >= 0 ? 2 * bounded + 1 : -2 * bounded
}

export function toDifference(number: number): number | null {
  if (number === 0) return null
  return number % 2 === 1 ? (number - 1) / 2 : -number / 2
}

/** Exactly `count` numbers. @throws DecodeError */
export function decodeNumbers(bytes: Uint8Array, count: number): number[] {
  const reader = new ByteReader(bytes)
  const numbers: number[] = []
  for (let i = 0; i < count; i += 1) numbers.push(reader.u53())
  reader.end()
  return numbers
}

const STANCES: readonly Stance[] = ['joining', 'looking', 'asking', 'beginning']

export function encodeSeeker(seeker: Seeker): Uint8Array {
  return writeSeeker(new ByteWriter(), seeker).finish()
}

/** @throws DecodeError */
export function decodeSeeker(bytes: Uint8Array): Seeker {
  const reader = new ByteReader(bytes)
  const seeker = readSeeker(reader)
  reader.end()
  return seeker
}

function writeSeeker(writer: ByteWriter, { memberId, nodeId, stance }: Seeker): ByteWriter {
  return writer.u8(STANCES.indexOf(stance)).u53(memberId).text(nodeId)
}

function readSeeker(reader: ByteReader): Seeker {
  const number = reader.u8()
  const stance = STANCES[number]
  if (stance === undefined) throw new DecodeError(`unknown stance ${number}`)
  return { stance, memberId: reader.u53(), nodeId: reader.text() }
}

/** A member of a cluster, as it answers whoever asks who is there. */
export interface MemberMet {
  readonly kind: 'member'
  /** 16 bytes. */
  readonly clusterId: Uint8Array
  readonly memberId: MemberId
  /** '' where it knows no leader just now. */
  readonly leaderAddress: string
}

export type MeetAnswer =
  | MemberMet
  /** No member either. `agrees`: to what the asking seeker is about. */
  | { readonly kind: 'seeker'; readonly seeker: Seeker; readonly agrees: boolean }

export function encodeMeetAnswer(answer: MeetAnswer): Uint8Array {
  const writer = new ByteWriter()
  if (answer.kind === 'seeker') {
    return writeSeeker(writer.u8(1).flag(answer.agrees), answer.seeker).finish()
  }
  const { clusterId, memberId, leaderAddress } = answer
  return writer.u8(0).raw(clusterId).u53(memberId).text(leaderAddress).finish()
}

/** @throws DecodeError */
export function decodeMeetAnswer(bytes: Uint8Array): MeetAnswer {
  const reader = new ByteReader(bytes)
  const answer = readMeetAnswer(reader)
  reader.end()
  return answer
}

function readMeetAnswer(reader: ByteReader): MeetAnswer {
  const kind = reader.u8()
  if (kind === 1) {
    const agrees = reader.flag()
    return { kind: 'seeker', agrees, seeker: readSeeker(reader) }
  }
  if (kind !== 0) throw new DecodeError(`unknown answer ${kind}`)
  const clusterId = reader.raw(16).slice()
  const memberId = reader.u53()
  return { kind: 'member', clusterId, memberId, leaderAddress: reader.text() }
}

/** The answer to `join`, `transfer` and `changeMember`. */
export type LeaderAnswer =
  | { readonly kind: 'done' }
  /** Ask there; '' if no leader is known just now. */
  | { readonly kind: 'elsewhere'; readonly address: string }
  | { readonly kind: 'refused'; readonly error: ColmenaError }

export function encodeLeaderAnswer(answer: LeaderAnswer): Uint8Array {
  const writer = new ByteWriter()
  if (answer.kind === 'done') return writer.u8(0).finish()
  if (answer.kind === 'elsewhere') return writer.u8(1).text(answer.address).finish()
  writeError(writer.u8(2), answer.error)
  return writer.finish()
}

/** @throws DecodeError */
export function decodeLeaderAnswer(bytes: Uint8Array): LeaderAnswer {
  const reader = new ByteReader(bytes)
  const answer = readLeaderAnswer(reader)
  reader.end()
  return answer
}

function readLeaderAnswer(reader: ByteReader): LeaderAnswer {
  const kind = reader.u8()
  if (kind === 0) return { kind: 'done' }
  if (kind === 1) return { kind: 'elsewhere', address: reader.text() }
  if (kind !== 2) throw new DecodeError(`unknown answer ${kind}`)
  const { code, message, retryable } = readError(reader)
  return { kind: 'refused', error: new ColmenaError(code, message, { retryable }) }
}

export function encodeTrialStep({ bytes, begins, base }: TrialStep): Uint8Array {
  const writer = new ByteWriter(16 + bytes.length)
  return writer
    .flag(begins)
    .u53(base === null ? 0 : base + 1)
    .raw(bytes)
    .finish()
}

/** @throws DecodeError */
export function decodeTrialStep(bytes: Uint8Array): TrialStep {
  const reader = new ByteReader(bytes)
  const begins = reader.flag()
  const base = reader.u53()
  const command = bytes.slice(TRIAL_STEP_HEADER_BYTES)
  return { begins, base: base === 0 ? null : base - 1, bytes: command }
}

/** Names a transaction that its owner has no more use for. */
export interface TrialName {
  readonly database: string
  readonly key: string
}

export function encodeTrialName({ database, key }: TrialName): Uint8Array {
  return new ByteWriter().text(database).text(key).finish()
}

/** @throws DecodeError */
export function decodeTrialName(bytes: Uint8Array): TrialName {
  const reader = new ByteReader(bytes)
  const database = reader.text()
  const key = reader.text()
  reader.end()
  return { database, key }
}

const TRIAL_STEP_HEADER_BYTES = 9
const CHANGES: readonly MemberChange[] = ['promote', 'demote', 'remove']

export function encodeMemberChange(change: MemberChange, id: MemberId): Uint8Array {
  return new ByteWriter().u8(CHANGES.indexOf(change)).u53(id).finish()
}

/** @throws DecodeError */
export function decodeMemberChange(bytes: Uint8Array): {
  readonly change: MemberChange
  readonly id: MemberId
} {
  const reader = new ByteReader(bytes)
  const number = reader.u8()
  const change = CHANGES[number]
  if (change === undefined) throw new DecodeError(`unknown change ${number}`)
  const id = reader.u53()
  reader.end()
  return { change, id }
}

export function encodeJoin(record: MemberRecord): Uint8Array {
  return encodeMemberRecords([record])
}

export function encodeRejoin(replaced: MemberId, record: MemberRecord): Uint8Array {
  return new ByteWriter().u53(replaced).raw(encodeJoin(record)).finish()
}

const MEMBER_ID_BYTES = 8

/** @throws DecodeError */
export function decodeRejoin(bytes: Uint8Array): {
  readonly replaced: MemberId
  readonly record: MemberRecord
} {
  const replaced = new ByteReader(bytes).u53()
  return { replaced, record: decodeJoin(bytes.subarray(MEMBER_ID_BYTES)) }
}

export function decodeJoin(bytes: Uint8Array): MemberRecord {
  const record = decodeMemberRecords(bytes)[0]
  if (record === undefined) throw new DecodeError('a join without a member')
  return record
}
