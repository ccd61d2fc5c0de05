import { existsSync } from 'node:fs'
import { type Transferable, Worker } from 'node:worker_threads'
import { ColmenaError } from '../base/errors.ts'

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

/** What threads and processes begin with, as seen from this file, without the ending. */
const ENTRIES = {
  engine: '../engine/engine-thread',
  storage: '../database/storage-thread',
  reader: '../database/reader-process',
} as const

/** Bundles of CommonJS have no `import.meta.url`, whatever its type says. */
const here: string | undefined = import.meta.url

/**
 * A bundler that takes this package into its own file leaves these files behind. Asked before
 * anything is touched, as a worker without its file fails where nobody can tell why.
 *
 * @throws ColmenaError ERR_BUNDLED
 */
export function requireEntries(): void {
  for (const name of Object.keys(ENTRIES)) locateEntry(name as keyof typeof ENTRIES)
}

/** @throws ColmenaError ERR_BUNDLED */
export function locateEntry(name: keyof typeof ENTRIES): URL {
  // The sources run as they are and as they are built: an entry ends as this very file does.
  const path = ENTRIES[name] + (here?.endsWith('.ts') ? '.ts' : '.js')
  const entry = URL.parse(path, here)
  if (entry !== null && existsSync(entry)) return entry
  throw new ColmenaError(
    'ERR_BUNDLED',
    `A part of Colmena's code is not at ${entry?.href ?? path}: it seems that a bundler has ` +
      'taken the package into its own file. Leave it out of the bundle, installed beside it: ' +
      "`serverExternalPackages: ['colmena']` for Next.js, `ssr.external: ['colmena']` for Vite, " +
      "`external: ['colmena']` for esbuild, Rollup and the like.",
  )
}

/**
 * V8 lets young objects take 192 MiB of each thread, and takes them in time however little of that
 * is alive: three threads would keep half a gigabyte. Ours keep little of what they make.
 */
const YOUNG_MIB_MAX = 16

/** A real worker thread. */
export const startWorker: StartThread = (name, workerData, transfer, handlers) =>
  watchWorker(
    new Worker(locateEntry(name), {
      name: `colmena-${name}`,
      workerData,
      transferList: [...transfer],
      // The host's own flags (test runners, loaders, inspectors) are not meant for our threads.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB_MAX },
    }),
    handlers,
  )

/** A worker that has just been started, as a thread of a node. */
export function watchWorker(worker: Worker, handlers: ThreadHandlers): Thread {
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
