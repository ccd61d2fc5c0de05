import { parentPort, workerData } from 'node:worker_threads'
import { assert } from '../base/assert.ts'
import { SharedState } from '../base/shared-state.ts'
import { StorageClient } from '../database/storage-client.ts'
import { openRealDisk } from '../log/real-disk.ts'
import { openTransport } from '../transport/transport.ts'
import { Engine, type EngineToUser, type EngineWorkerData, type UserToEngine } from './engine.ts'
import { createRealClock, createRealRandom } from './real-ports.ts'

/** The engine worker: real clock, disk, sockets and ports around an {@link Engine}. */
function startEngine({ config, shared, storagePort }: EngineWorkerData): void {
  const user = parentPort
  assert(user !== null, 'the engine runs on a worker thread')
  const toUser = (message: EngineToUser): void => {
    user.postMessage(message)
    // Whatever was under way is done: nothing of this thread may outlive it.
    if (message.kind === 'closed') user.close()
  }
  const engine = new Engine(config, {
    clock: createRealClock(),
    random: createRealRandom(),
    disk: openRealDisk(config.dataDir),
    shared: new SharedState(shared),
    defer: (turn) => setImmediate(turn),
    toUser,
    openApplier: (generation, genesis, handlers) => {
      const applier = new StorageClient(storagePort, handlers)
      toUser({ kind: 'startStorage', generation, genesis })
      return applier
    },
    openNetwork: openTransport,
  })
  user.on('message', (message: UserToEngine) => engine.receive(message))
  engine.start()
}

startEngine(workerData as EngineWorkerData)
