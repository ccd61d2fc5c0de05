import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { SharedState } from '../base/shared-state.ts'
import type { StorageToUser, StorageWorkerData, UserToStorage } from '../database/database.ts'
import type {
  EngineConfig,
  EngineToUser,
  EngineWorkerData,
  UserToEngine,
} from '../engine/engine.ts'
import { printDecision } from './debugging.ts'
import { settlesWithin } from './patience.ts'
import type { StartThread, Thread, ThreadName } from './threads.ts'

const REASON_WAIT_MS = 1_000

export interface ThreadPairHandlers {
  engine(message: EngineToUser): void
  storage(message: StorageToUser): void
  /** A thread threw, or ended; null: it ended without an error. */
  ended(name: ThreadName, error: unknown): void
}

/** The engine and the storage thread of one node, and the line between them. */
export class ThreadPair {
  readonly #start: StartThread
  readonly #handlers: ThreadPairHandlers
  readonly #running = new Map<ThreadName, Thread>()
  /** The storage thread's end of the line, until it is started. */
  #storagePort: MessagePort | null = null
  #onIdle: (() => void)[] = []
  /** Threads whose end was not told yet: one may be gone for a while before. */
  #untold = 0

  constructor(start: StartThread, handlers: ThreadPairHandlers) {
    this.#start = start
    this.#handlers = handlers
  }

  startEngine(config: EngineConfig, shared: SharedState): void {
    const { port1, port2 } = new MessageChannel()
    this.#storagePort = port2
    const data: EngineWorkerData = { config, shared: shared.buffer, storagePort: port1 }
    this.#run('engine', data, port1, (message) => {
      const said = message as EngineToUser
      if (config.isDebugging) printDecision(config.nodeId, said)
      this.#handlers.engine(said)
    })
  }

  startStorage(data: Omit<StorageWorkerData, 'enginePort'>): void {
    const enginePort = this.#storagePort
    if (enginePort === null) return
    this.#storagePort = null
    this.#run(
      'storage',
      { ...data, enginePort } satisfies StorageWorkerData,
      enginePort,
      (message) => this.#handlers.storage(message as StorageToUser),
    )
  }

  /** Does nothing once the engine is gone. */
  postEngine(message: UserToEngine, bytes?: Uint8Array<ArrayBuffer>): void {
    this.#running.get('engine')?.post(message, bytes === undefined ? [] : [bytes.buffer])
  }

  /** Does nothing once the storage thread is gone. */
  postStorage(message: UserToStorage): void {
    this.#running.get('storage')?.post(message)
  }

  /** Resolves when both are gone, and were told to be. */
  exited(): Promise<void> {
    if (this.#untold === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  /** Lets both end in order, for so long at most. */
  async close(limitMs: number, signal?: AbortSignal): Promise<void> {
    this.postEngine({ kind: 'close' })
    await settlesWithin(this.exited(), limitMs, signal)
  }

  /** Ends both at once, as a crash would; the storage thread ends after its running statement. */
  terminate(): void {
    this.#storagePort?.close()
    this.#storagePort = null
    for (const thread of this.#running.values()) thread.terminate()
  }

  /** They no longer keep the process alive. */
  unref(): void {
    for (const thread of this.#running.values()) thread.unref()
  }

  /**
   * The storage thread ends by itself when the engine's end of their line is gone, often before the
   * engine is, which has the reason and must be heard first.
   */
  async #engineEnded(): Promise<void> {
    const engine = this.#running.get('engine')
    if (engine !== undefined) await settlesWithin(engine.exited, REASON_WAIT_MS)
  }

  #run(
    name: ThreadName,
    data: unknown,
    port: MessagePort,
    message: (message: unknown) => void,
  ): void {
    let failure: unknown = null
    const thread = this.#start(name, data, [port], {
      message,
      failed: (error) => {
        failure ??= error
      },
    })
    this.#running.set(name, thread)
    this.#untold += 1
    void thread.exited.then(async () => {
      this.#running.delete(name)
      if (failure === null) await this.#engineEnded()
      this.#untold -= 1
      this.#handlers.ended(name, failure)
      if (this.#untold > 0) return
      const idle = this.#onIdle
      this.#onIdle = []
      for (const resolve of idle) resolve()
    })
  }
}
