/** The bodies of the log's own records: hard state, snapshot mark, begin. */
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import type { ConfState, HardState } from '../raft/types.ts'
import type { SnapshotMark } from './options.ts'

/** What all records before a segment amount to, so that they can be deleted. */
export interface Base {
  /** The header crc of the seal before; 0 where the log begins. */
  readonly sealChain: number
  readonly compacted: number
  readonly compactedTerm: number
  readonly hardState: HardState
  readonly snapshot: SnapshotMark | null
}

export function encodeHardState(state: HardState): Uint8Array {
  const writer = new ByteWriter(24)
  writeHardState(writer, state)
  return writer.finish()
}

export function decodeHardState(body: Uint8Array): HardState {
  const reader = new ByteReader(body)
  const state = readHardState(reader)
  reader.end()
  return state
}

/** Index and term of a mark stand in its record's header. */
export function encodeMark(mark: SnapshotMark): Uint8Array {
  const writer = new ByteWriter(64)
  writeMark(writer, mark)
  return writer.finish()
}

export function decodeMark(index: number, term: number, body: Uint8Array): SnapshotMark {
  const reader = new ByteReader(body)
  const mark = readMark(reader, index, term)
  reader.end()
  return mark
}

export function encodeBase(base: Base): Uint8Array {
  const writer = new ByteWriter(128)
  writer.u32(base.sealChain).u53(base.compacted).u53(base.compactedTerm)
  writeHardState(writer, base.hardState)
  writer.u8(base.snapshot === null ? 0 : 1)
  if (base.snapshot !== null) {
    writer.u53(base.snapshot.index).u53(base.snapshot.term)
    writeMark(writer, base.snapshot)
  }
  return writer.finish()
}

export function decodeBase(body: Uint8Array): Base {
  const reader = new ByteReader(body)
  const sealChain = reader.u32()
  const compacted = reader.u53()
  const compactedTerm = reader.u53()
  const hardState = readHardState(reader)
  const hasSnapshot = reader.u8()
  if (hasSnapshot > 1) throw new DecodeError(`snapshot flag ${hasSnapshot}`)
  const snapshot = hasSnapshot === 0 ? null : readMark(reader, reader.u53(), reader.u53())
  reader.end()
  return { sealChain, compacted, compactedTerm, hardState, snapshot }
}

function writeHardState(writer: ByteWriter, state: HardState): void {
  writer.u53(state.term).u53(state.vote).u53(state.commit)
}

function readHardState(reader: ByteReader): HardState {
  return { term: reader.u53(), vote: reader.u53(), commit: reader.u53() }
}

function writeMark(writer: ByteWriter, mark: SnapshotMark): void {
  const { confState } = mark
  writer.u53(mark.generation)
  writeIds(writer, confState.voters)
  writeIds(writer, confState.learners)
  writeIds(writer, confState.votersOutgoing)
  writeIds(writer, confState.learnersNext)
  writer.flag(confState.autoLeave)
}

function readMark(reader: ByteReader, index: number, term: number): SnapshotMark {
  const generation = reader.u53()
  const confState: ConfState = {
    voters: readIds(reader),
    learners: readIds(reader),
    votersOutgoing: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: reader.flag(),
  }
  return { index, term, generation, confState }
}

function writeIds(writer: ByteWriter, ids: readonly number[]): void {
  writer.u32(ids.length)
  for (const id of ids) writer.u53(id)
}

function readIds(reader: ByteReader): number[] {
  return Array.from({ length: reader.count(8) }, () => reader.u53())
}
