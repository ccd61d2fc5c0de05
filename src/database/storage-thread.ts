import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { processNowMs } from '../base/process-clock.ts'
import { SharedState } from '../base/shared-state.ts'
import { ContentHashes } from './content-hashes.ts'
import { SnapshotCopies } from './snapshot-copies.ts'
import { Storage } from './storage.ts'
import type { EngineToStorage, StorageWorkerData, UserToStorage } from './storage-protocol.ts'

const WATCH_MS = 1000

/** The storage thread: {@link Storage} on real ports. It ends when nothing is left to wait for. */
function run(
  { shared, enginePort: engine, ...settings }: StorageWorkerData,
  user: MessagePort,
): void {
  const storage = new Storage(settings, {
    clock: {
      nowMs: processNowMs,
      setTimer: (delayMs, fire) => {
        const timer = setTimeout(fire, delayMs)
        return () => clearTimeout(timer)
      },
    },
    shared: new SharedState(shared),
    defer: (turn) => setImmediate(turn),
    tellEngine: (message) => engine.postMessage(message),
    tellUser: (message, transfer) => user.postMessage(message, transfer),
    createCopies: (pin) => new SnapshotCopies(settings.dataDir, pin),
    createHashes: (options) => new ContentHashes(options),
    closed: () => {
      engine.close()
      user.close()
    },
  })
  engine.on('message', (first: EngineToStorage) => storage.receive([first, ...waitingOn(engine)]))
  // Without the engine nothing more is ever applied.
  engine.on('close', () => storage.close())
  user.on('message', (message: UserToStorage) => storage.answerUser(message))
  setInterval(() => storage.watch(), WATCH_MS).unref()
}

function waitingOn(port: MessagePort): EngineToStorage[] {
  const messages: EngineToStorage[] = []
  for (;;) {
    const next = receiveMessageOnPort(port)
    if (next === undefined) return messages
    messages.push(next.message)
  }
}

assert(parentPort !== null, 'the storage thread runs as a worker')
run(workerData as StorageWorkerData, parentPort)
