import type { Entry } from '../raft/types.ts'

/** How much of what waits goes into one group: it bounds how long an answer can wait for others. */
const GROUP_ENTRIES_MAX = 1024
const GROUP_BYTES_MAX = 4 * 1024 * 1024

/** The first of the entries, none beyond `last`, as many as go into one group. */
export function firstGroup(entries: readonly Entry[], last: number): readonly Entry[] {
  let count = 0
  let sizeBytes = 0
  for (const { index, data } of entries) {
    sizeBytes += data.length
    if (index > last || count === GROUP_ENTRIES_MAX) break
    if (count > 0 && sizeBytes > GROUP_BYTES_MAX) break
    count += 1
  }
  return entries.slice(0, count)
}
