import { hash } from 'node:crypto'
import { readEntries } from '../database/database.ts'

/** Of an encoded entry before its data: index, term, type and length. */
const HEAD_BYTES = 21

/**
 * A rolling digest over entries: it goes on with what it was before them, and is the same however
 * they were divided. It begins with any bytes that both sides know.
 *
 * @param bytes as {@link Shipping.read} gives them
 * @param untilIndex the last entry that counts
 * @returns 32 bytes
 * @throws ColmenaError ERR_BACKUP_DAMAGED where these are no entries
 */
export function rollLog(
  before: Uint8Array,
  bytes: Uint8Array,
  untilIndex: number = Number.POSITIVE_INFINITY,
): Uint8Array {
  let digest = before
  for (const { index, data } of readEntries(bytes)) {
    if (index > untilIndex) break
    const from = data.byteOffset - bytes.byteOffset - HEAD_BYTES
    const entry = bytes.subarray(from, from + HEAD_BYTES + data.length)
    digest = hash('sha256', Buffer.concat([digest, entry]), 'buffer')
  }
  return digest
}
