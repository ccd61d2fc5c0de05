import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { encodeEntries } from '../database/database.ts'
import type { Answer } from './answer.ts'
import type { EngineRequest } from './protocol.ts'
import type { DatabasesCopy, LogChunk } from './reports.ts'
import type { StatusParts } from './status.ts'

type ShippingRequest = Extract<
  EngineRequest,
  { method: 'readLog' | 'holdLog' | 'copyDatabases' | 'removeCopy' }
>

/** What a backup asks of this node. */
export function answerShipping(parts: StatusParts, request: ShippingRequest, answer: Answer): void {
  switch (request.method) {
    case 'readLog':
      readLog(parts, request, answer)
      break
    case 'holdLog':
      parts.core.holds.set(request.key, request.hold)
      answer(null, null)
      break
    case 'copyDatabases':
      copyDatabases(parts, request.directory, answer)
      break
    case 'removeCopy':
      parts.applier.removeSnapshot(request.directory)
      answer(null, null)
      break
  }
}

/**
 * Reads entries that this node has applied, from `after` on: they are committed, and what they left
 * in the databases is known. Fails with ERR_FELL_BEHIND where the log begins later, or where an
 * entry behind `after` was skipped: whoever replays that log would try it in vain.
 */
function readLog(
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

/** Copies all databases, as they are at one index, into a directory under the data directory. */
function copyDatabases({ applier }: StatusParts, directory: string, answer: Answer): void {
  applier.copySnapshot(directory, (error, copied) => {
    if (error !== null || copied === null) return answer(asRetryable(error), null)
    const { index, term, clockMs, digests, files } = copied
    const copy: DatabasesCopy = {
      index,
      term,
      timeMs: clockMs,
      digests: Object.fromEntries(digests),
      files: files.map(({ name, sizeBytes, sha256 }) => {
        return { name, sizeBytes, sha256: Buffer.from(sha256).toString('hex') }
      }),
    }
    answer(null, copy)
  })
}

function asRetryable(error: Error | null): ColmenaError {
  if (isColmenaError(error)) return error
  const message = `the databases could not be copied: ${error?.message}`
  return new ColmenaError('ERR_FAILED', message, { cause: error, retryable: true })
}
