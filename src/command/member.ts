import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts'

/** What a member wants to be; raft's configuration says what it is. */
export type WantedRole = 'voter' | 'learner'

/** What the cluster knows of a member beside its place in raft's configuration. */
export interface MemberRecord {
  readonly memberId: number
  readonly nodeId: string
  /** `host:port` that peers dial; '' for a single node without network. */
  readonly address: string
  readonly wantedRole: WantedRole
}

/**
 * The context of a configuration change: records to add or replace. The records of members that
 * the change removes go by themselves.
 */
export function encodeMemberRecords(records: readonly MemberRecord[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter().u8(1).u32(records.length)
  for (const record of records) {
    writer.u53(record.memberId).text(record.nodeId).text(record.address)
    writer.flag(record.wantedRole === 'voter')
  }
  return writer.finish()
}

/** @throws DecodeError for anything but what {@link encodeMemberRecords} makes; empty is none. */
export function decodeMemberRecords(bytes: Uint8Array): readonly MemberRecord[] {
  if (bytes.length === 0) return []
  const reader = new ByteReader(bytes)
  if (reader.u8() !== 1) throw new DecodeError('unknown member record format')
  const records: MemberRecord[] = []
  for (let left = reader.count(17); left > 0; left -= 1) {
    records.push({
      memberId: reader.u53(),
      nodeId: reader.text(),
      address: reader.text(),
      wantedRole: reader.flag() ? 'voter' : 'learner',
    })
  }
  reader.end()
  return records
}
