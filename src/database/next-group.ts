import { commandKind, decodeHashContent } from '../command/command.ts'
import type { Entry } from '../raft/types.ts'

/** How much of what waits goes into one group: it bounds how long an answer can wait for others. */
const GROUP_ENTRIES_MAX = 1024
const GROUP_BYTES_MAX = 4 * 1024 * 1024

/** The entries of one group: up to index `last`, and to where the content is asked for. */
export function nextGroup(entries: readonly Entry[], last: number): readonly Entry[] {
  let count = 0
  let sizeBytes = 0
  for (const entry of entries) {
    sizeBytes += entry.data.length
    if (entry.index > last || count === GROUP_ENTRIES_MAX) break
    if (count > 0 && sizeBytes > GROUP_BYTES_MAX) break
    count += 1
    if (hashKeyOf(entry) !== null) break
  }
  return entries.slice(0, count)
}

/** What the content at this entry is asked for under; null if nobody asks. */
export function hashKeyOf(entry: Entry | undefined): string | null {
  if (entry === undefined || entry.type !== 'normal' || entry.data.length !== HASH_BYTES)
    return null
  try {
    return commandKind(entry.data) === 'hashContent' ? decodeHashContent(entry.data) : null
  } catch {
    // What can't be read is for apply to refuse.
    return null
  }
}

/** An envelope and a key. */
const HASH_BYTES = 20
