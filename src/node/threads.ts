import { type Transferable, Worker } from 'node:worker_threads'

/** The threads of a node, beside its user's own. */
export type ThreadName = 'engine' | 'storage'

export interface ThreadHandlers {
  message(message: unknown): void
  /** The thread failed; `exited` follows. */
  failed(error: unknown): void
}

export interface Thread {
  post(message: unknown, transfer?: readonly Transferable[]): void
  /** Ends it between two of its instructions; a running SQL statement is waited for. */
  terminate(): void
  /** It no longer keeps the process alive. */
  unref(): void
  /** Resolves when it is gone, whatever ended it. */
  readonly exited: Promise<void>
}

/** Starts a thread; tests pass one that runs fakes in their place. */
export type StartThread = (
  name: ThreadName,
  workerData: unknown,
  transfer: readonly Transferable[],
  handlers: ThreadHandlers,
) => Thread

/** The sources run as they are and as they are built: the entry ends as this very file does. */
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js'

const ENTRIES: Readonly<Record<ThreadName, URL>> = {
  engine: new URL(`../engine/engine-thread${ENDING}`, import.meta.url),
  storage: new URL(`../database/storage-thread${ENDING}`, import.meta.url),
}

/** A real worker thread. */
export const startWorker: StartThread = (name, workerData, transfer, handlers) => {
  const worker = new Worker(ENTRIES[name], {
    name: `colmena-${name}`,
    workerData,
    transferList: [...transfer],
    // The host's own flags (test runners, loaders, inspectors) are not meant for our threads.
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
