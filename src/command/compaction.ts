import { DecodeError } from '../base/bytes.ts'
import type { StatementResult, UnitResult } from './result.ts'
import type { SqlValue } from './value.ts'

/** What a compaction came to on one node. */
export interface CompactedSizes {
  /** Of the database's file, with its write-ahead file. */
  readonly beforeBytes: number
  readonly afterBytes: number
}

/** The sizes in the shape of any unit's answer, to travel with them. */
export function compactionResult({ beforeBytes, afterBytes }: CompactedSizes): UnitResult {
  const columns = ['beforeBytes', 'afterBytes']
  const rows = [[BigInt(beforeBytes), BigInt(afterBytes)]]
  const columnTypes = columns.map(() => '')
  const result = { columns, columnTypes, rows, rowsAffected: 0, lastInsertRowid: null }
  return { ok: true, statements: [result] }
}

/** @throws DecodeError */
export function compactedSizes(result: StatementResult | undefined): CompactedSizes {
  const [before, after] = result?.rows[0] ?? []
  return { beforeBytes: sizeOf(before), afterBytes: sizeOf(after) }
}

function sizeOf(value: SqlValue | undefined): number {
  const size = typeof value === 'bigint' ? Number(value) : -1
  if (Number.isSafeInteger(size) && size >= 0) return size
  throw new DecodeError('not what a compaction answers')
}
