import { once } from 'node:events'
import { Socket } from 'node:net'
import { isMainThread, parentPort, Worker } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import type { ReaderAnswer, ReaderRequest, ReaderSource } from './reader-protocol.ts'

/**
 * A process that reads for a node, so that a read can be ended: by killing the process it runs in.
 * It ends with the process that started it. A statement that runs keeps its thread from noticing
 * that, so another thread watches, and the process is not ready before it does.
 */
async function serve(source: ReaderSource): Promise<void> {
  const watching = once(new Worker(new URL(import.meta.url), { execArgv: [] }), 'message')
  // Not by the watching thread, which begins with this file too and has no use for SQLite.
  const { serveReads } = await import('./reader-serving.ts')
  const answer = serveReads(source)
  const say = (message: ReaderAnswer): void => {
    process.send?.(message)
  }
  process.on('message', (request) => say(answer(request as ReaderRequest)))
  await watching
  say({ kind: 'ready' })
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

/** Systems end an application by a signal to all of its processes: it may have reads to finish. */
function ignoreSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
}

if (isMainThread) {
  ignoreSignals()
  const [, , source] = process.argv
  assert(source !== undefined, 'a reader process is told where the databases are')
  void serve(JSON.parse(source))
} else {
  watchParent()
}
