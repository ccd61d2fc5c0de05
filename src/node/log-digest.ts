import { hash } from 'node:crypto'
import { decodeEntries } from '../database/database.ts'

/** Of an encoded entry before its data: index, term, type and length. */
const HEAD_BYTES = 21

/**
 * A rolling digest over entries: it goes on with what it was before them, and is the same however
 * they were divided. It begins with any bytes that both sides know.
 *
 * @param bytes as {@link Shipping.read} gives them
 * @returns 32 bytes
 * @throws DecodeError where these are no entries
 */
export function rollLog(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  let digest = before
  for (const { data } of decodeEntries(bytes)) {
    const from = data.byteOffset - bytes.byteOffset - HEAD_BYTES
    const entry = bytes.subarray(from, from + HEAD_BYTES + data.length)
    digest = hash('sha256', Buffer.concat([digest, entry]), 'buffer')
  }
  return digest
}
