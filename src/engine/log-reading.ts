import { ColmenaError } from '../base/errors.ts'
import { encodeEntries } from '../database/database.ts'
import type { LogChunk } from './reports.ts'
import type { Answer } from './requests.ts'
import type { StatusParts } from './status.ts'

/**
 * Reads entries that this node has applied, from `after` on: they are committed, and what they left
 * in the databases is known. Fails with ERR_FELL_BEHIND where the log begins later, or where an
 * entry behind `after` was skipped: whoever replays that log would try it in vain.
 */
export function readLog(
  parts: StatusParts,
  { after, bytesMax }: { readonly after: number; readonly bytesMax: number },
  answer: Answer,
): void {
  const { core, log, ports, applier } = parts
  const from = Math.max(log.firstIndex - 1, core.skipping.lastVoid)
  if (after < from) {
    answer(fellBehind(after, from), null)
    return
  }
  const end = ports.shared.applied() + 1
  const first = after + 1
  if (first >= end) {
    answer(null, { first, last: after, bytes: encodeEntries([]), digests: {} })
    return
  }
  log.load(first, end, bytesMax, (error) => {
    const entries = error === null ? log.entries(first, end, bytesMax) : []
    // It may have been shortened meanwhile, or read by another whose entries took the room.
    if (error === null && typeof entries === 'string')
      return readLog(parts, { after, bytesMax }, answer)
    if (error !== null || typeof entries === 'string') return answer(error, null)
    const last = after + entries.length
    applier.digests(last, (digests) => {
      const bytes = encodeEntries(entries)
      const chunk: LogChunk = { first, last, bytes, digests: Object.fromEntries(digests) }
      answer(null, chunk)
    })
  })
}

function fellBehind(after: number, from: number): ColmenaError {
  return new ColmenaError(
    'ERR_FELL_BEHIND',
    `the log does not have all entries behind ${after} any more; it has those behind ${from}: ` +
      'begin again with a copy of the databases',
    { index: from },
  )
}
