import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'
import type { MemberId } from '../raft/raft.ts'
import type { Held } from './judging.ts'

/** What some members hold at one index. */
export interface Table {
  readonly kind: 'digest' | 'content'
  readonly index: number
  readonly rows: ReadonlyMap<MemberId, Held>
}

const KINDS: readonly Table['kind'][] = ['digest', 'content']
const ROW_BYTES_MIN = 12
const VALUE_BYTES_MIN = 8

export function encodeTable({ kind, index, rows }: Table): Uint8Array {
  const writer = new ByteWriter().u8(KINDS.indexOf(kind)).u53(index).u32(rows.size)
  for (const [id, held] of rows) {
    writer.u53(id)
    writeHeld(writer, held)
  }
  return writer.finish()
}

/** @throws DecodeError */
export function decodeTable(bytes: Uint8Array): Table {
  const reader = new ByteReader(bytes)
  const number = reader.u8()
  const kind = KINDS[number]
  if (kind === undefined) throw new DecodeError(`unknown comparison ${number}`)
  const index = reader.u53()
  const rows = new Map<MemberId, Held>()
  for (let left = reader.count(ROW_BYTES_MIN); left > 0; left -= 1) {
    const id = reader.u53()
    rows.set(id, readHeld(reader))
  }
  reader.end()
  return { kind, index, rows }
}

/** What a member is asked, or asks, about a hash of the content. */
export interface HashQuestion {
  /** Expect the entry that asks for it, or say what it came to. */
  readonly kind: 'expect' | 'result'
  readonly key: string
}

/** Null while it is under way. */
export type HashResult = {
  readonly index: number
  readonly held: Held | null
  readonly error: string
} | null

export function encodeHashQuestion({ kind, key }: HashQuestion): Uint8Array {
  return new ByteWriter()
    .flag(kind === 'result')
    .text(key)
    .finish()
}

/** @throws DecodeError */
export function decodeHashQuestion(bytes: Uint8Array): HashQuestion {
  const reader = new ByteReader(bytes)
  const kind = reader.flag() ? 'result' : 'expect'
  const key = reader.text()
  reader.end()
  if (!/^[0-9a-f]{32}$/.test(key)) throw new DecodeError('a key of another form')
  return { kind, key }
}

export function encodeHashResult(result: HashResult): Uint8Array {
  const writer = new ByteWriter().flag(result !== null)
  if (result === null) return writer.finish()
  writer
    .u53(result.index)
    .text(result.error)
    .flag(result.held !== null)
  if (result.held !== null) writeHeld(writer, result.held)
  return writer.finish()
}

/** @throws DecodeError */
export function decodeHashResult(bytes: Uint8Array): HashResult {
  const reader = new ByteReader(bytes)
  const isKnown = reader.flag()
  if (!isKnown) {
    reader.end()
    return null
  }
  const index = reader.u53()
  const error = reader.text()
  const held = reader.flag() ? readHeld(reader) : null
  reader.end()
  return { index, held, error }
}

function writeHeld(writer: ByteWriter, held: Held): void {
  writer.u32(held.size)
  for (const [database, value] of held) writer.text(database).text(value)
}

function readHeld(reader: ByteReader): Held {
  const held = new Map<string, string>()
  for (let left = reader.count(VALUE_BYTES_MIN); left > 0; left -= 1) {
    const database = reader.text()
    held.set(database, reader.text())
  }
  return held
}
