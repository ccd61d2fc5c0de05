import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Hold, Quarantine } from './ports.ts'
import { decodeNumbers, encodeNumbers } from './wire.ts'

/** Which entry an operator wants skipped, and which members he answers for himself. */
export interface SkipOrder {
  readonly index: number
  /** Node ids of members that are gone for good. */
  readonly without: readonly string[]
}

/** Where a member stands, as far as it matters for skipping an entry. */
export interface SkipStand {
  readonly applied: number
  readonly quarantine: Pick<Quarantine, 'index' | 'unitsDone'> | null
}

export function encodeSkipOrder({ index, without }: SkipOrder): Uint8Array {
  const writer = new ByteWriter().u53(index).u32(without.length)
  for (const nodeId of without) writer.text(nodeId)
  return writer.finish()
}

/** @throws DecodeError */
export function decodeSkipOrder(bytes: Uint8Array): SkipOrder {
  const reader = new ByteReader(bytes)
  const index = reader.u53()
  const without = Array.from({ length: reader.count(4) }, () => reader.text())
  reader.end()
  return { index, without }
}

export function encodeHold({ index, term, round }: Hold): Uint8Array {
  return encodeNumbers(index, term, round)
}

/** @throws DecodeError */
export function decodeHold(bytes: Uint8Array): Hold {
  const [index = 0, term = 0, round = 0] = decodeNumbers(bytes, 3)
  return { index, term, round }
}

export function encodeSkipStand({ applied, quarantine }: SkipStand): Uint8Array {
  return encodeNumbers(applied, quarantine?.index ?? 0, quarantine?.unitsDone ?? 0)
}

/** @throws DecodeError */
export function decodeSkipStand(bytes: Uint8Array): SkipStand {
  const [applied = 0, index = 0, unitsDone = 0] = decodeNumbers(bytes, 3)
  return { applied, quarantine: index === 0 ? null : { index, unitsDone } }
}
