import type { Entry } from './types.ts'

/** What an entry costs beyond its payload wherever sizes are bounded: index, term, type. */
const ENTRY_OVERHEAD_BYTES = 24

export function entrySizeBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES
}

export function entriesSizeBytes(entries: readonly Entry[]): number {
  let sizeBytes = 0
  for (const entry of entries) sizeBytes += entrySizeBytes(entry)
  return sizeBytes
}

/** Payload alone: an empty entry weighs nothing, so quotas never refuse one. */
export function payloadsSizeBytes(entries: readonly Entry[]): number {
  let sizeBytes = 0
  for (const entry of entries) sizeBytes += entry.data.length
  return sizeBytes
}

/** The longest prefix within `bytesMax`, but at least one entry, so that a huge one can pass. */
export function limitEntries(entries: readonly Entry[], bytesMax: number): readonly Entry[] {
  let sizeBytes = 0
  for (let i = 0; i < entries.length; i++) {
    sizeBytes += entrySizeBytes(entries[i]!)
    if (sizeBytes > bytesMax && i > 0) return entries.slice(0, i)
  }
  return entries
}
