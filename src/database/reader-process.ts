import { Socket } from 'node:net'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
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

/**
 * A process that reads for a node, so that a read can be ended: by killing the process it runs in.
 * It serves one request after the other, and ends with the process that started it. A statement
 * that runs keeps its thread from noticing that, so another thread watches.
 */
function serve({ directory, extensions }: ReaderSource): void {
  const shared = new SharedState()
  const readers = createReaders({ directory, shared, extensions })
  const say = (answer: ReaderAnswer): void => {
    process.send?.(answer)
  }
  const watch = new Worker(new URL(import.meta.url), { execArgv: [] })
  watch.once('message', () => {
    process.on('message', (message) => {
      const { asked, work, view } = message as ReaderRequest
      shared.publishStorage(view)
      // Seen from another process, a commit may be under way at any time.
      shared.whileCommitting(() => {
        const reader = readers.database(asked.database, asked.doubleQuotedStrings)
        say(work.kind === 'query' ? query(reader, work) : copy(reader, work.path))
      })
    })
    say({ kind: 'ready' })
  })
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

/** Only the process that started this one holds the other end of its standard input. */
function watchParent(): void {
  const input = new Socket({ fd: 0 })
  input.on('error', () => {})
  // Nothing else ends a process in which a statement runs.
  input.on('close', () => process.kill(process.pid, 'SIGKILL'))
  input.resume()
  parentPort?.postMessage('watching')
}

if (isMainThread) {
  const [, , source] = process.argv
  assert(source !== undefined, 'a reader process is told where the databases are')
  serve(JSON.parse(source))
} else {
  watchParent()
}
