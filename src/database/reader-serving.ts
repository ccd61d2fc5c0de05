import { SharedState } from '../base/shared-state.ts'
import { fileSizeBytes } from './generation.ts'
import {
  type ReaderAnswer,
  type ReaderRequest,
  type ReaderSource,
  type ReaderWork,
  type TimedRows,
  toReaderFailure,
} from './reader-protocol.ts'
import { createReaders, type DatabaseReader } from './readers.ts'

/** What a reader process does with a request, on the databases of `source`. */
export function serveReads(source: ReaderSource): (request: ReaderRequest) => ReaderAnswer {
  const shared = new SharedState()
  const readers = createReaders({ ...source, shared })
  return ({ asked, work, view }) => {
    shared.publishStorage(view)
    // Seen from another process, a commit may be under way at any time.
    return shared.whileCommitting(() => {
      const reader = readers.database(asked.database, asked.doubleQuotedStrings)
      return work.kind === 'query' ? query(reader, work) : copy(reader, work.path)
    })
  }
}

function query(
  reader: DatabaseReader,
  { statements, resultBytesMax }: Extract<ReaderWork, { kind: 'query' }>,
): ReaderAnswer {
  const results: TimedRows[] = []
  const budget = { bytesMax: resultBytesMax, bytesLeft: resultBytesMax }
  try {
    using snapshot = reader.snapshot()
    for (const { sql, args } of statements) {
      const beganMs = performance.now()
      const rows = snapshot.query(sql, args, budget)
      results.push({ ...rows, durationMs: performance.now() - beganMs })
    }
    return { kind: 'rows', results, lastWrite: snapshot.lastWrite() }
  } catch (error) {
    return { kind: 'failed', statementIndex: results.length, failure: toReaderFailure(error) }
  }
}

function copy(reader: DatabaseReader, path: string): ReaderAnswer {
  try {
    const appliedIndex = reader.copyTo(path)
    return { kind: 'copied', copied: { appliedIndex, sizeBytes: fileSizeBytes(path) } }
  } catch (error) {
    return { kind: 'failed', statementIndex: 0, failure: toReaderFailure(error) }
  }
}
