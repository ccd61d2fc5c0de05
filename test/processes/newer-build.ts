/**
 * The first file of a thread of a newer build: the real one, with the one constant changed that
 * says which formats a build has. The product has no switch for it.
 */
import { registerHooks } from 'node:module'
import { Worker } from 'node:worker_threads'
import type { StartThread, ThreadName } from '../../src/node/threads.ts'

const ENTRIES: Readonly<Record<ThreadName, string>> = {
  engine: new URL('../../src/engine/engine-thread.ts', import.meta.url).href,
  storage: new URL('../../src/database/storage-thread.ts', import.meta.url).href,
}
const BUILD = new URL('../../src/base/build.ts', import.meta.url).href

const [, , role] = process.argv
if (role === 'engine' || role === 'storage') {
  registerHooks({
    load: (url, context, next) =>
      url === BUILD
        ? { format: 'module', source: 'export const NEWEST_FORMAT = 2', shortCircuit: true }
        : next(url, context),
  })
  await import(ENTRIES[role])
}

/** Starts the threads of a node as those of the newer build. */
export const startNewerWorker: StartThread = (name, workerData, transfer, handlers) => {
  const worker = new Worker(new URL(import.meta.url), {
    name: `newer-${name}`,
    argv: [name],
    workerData,
    transferList: [...transfer],
    execArgv: [],
  })
  worker.on('message', handlers.message)
  worker.on('messageerror', handlers.failed)
  worker.on('error', handlers.failed)
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()))
  return {
    post: (message, list) => worker.postMessage(message, list ?? []),
    terminate: () => void worker.terminate(),
    unref: () => worker.unref(),
    exited,
  }
}
