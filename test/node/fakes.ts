import type { StorageToUser } from '../../src/database/database.ts'
import type {
  EngineToUser,
  EngineWorkerData,
  ErrorMessage,
  UserToEngine,
} from '../../src/engine/engine.ts'
import type { StartThread, Thread, ThreadHandlers, ThreadName } from '../../src/node/node.ts'

/** A thread that does only what the test says. */
export class FakeThread implements Thread {
  readonly data: unknown
  readonly received: UserToEngine[] = []
  readonly exited: Promise<void>
  readonly #handlers: ThreadHandlers
  readonly #waiting: { readonly kind: string; readonly resolve: () => void }[] = []
  #exit: () => void = () => {}
  isRunning = true
  /** Messages of this kind are answered at once. */
  readonly answers: Map<string, (message: UserToEngine) => void> = new Map()

  constructor(data: unknown, handlers: ThreadHandlers) {
    this.data = data
    this.#handlers = handlers
    this.exited = new Promise((resolve) => {
      this.#exit = () => {
        this.isRunning = false
        resolve()
      }
    })
  }

  say(message: EngineToUser | StorageToUser): void {
    this.#handlers.message(message)
  }

  /** Ends as a worker with an uncaught exception does. */
  die(error: unknown): void {
    this.#handlers.failed(error)
    this.#exit()
  }

  /** Resolves when a message of that kind has come. */
  async heard(kind: string): Promise<void> {
    if (this.received.some((message) => message.kind === kind)) return
    await new Promise<void>((resolve) => this.#waiting.push({ kind, resolve }))
  }

  post(message: unknown): void {
    const { kind } = message as UserToEngine
    this.received.push(message as UserToEngine)
    this.answers.get(kind)?.(message as UserToEngine)
    for (const waiting of this.#waiting) if (waiting.kind === kind) waiting.resolve()
  }

  terminate(): void {
    this.#exit()
  }

  unref(): void {}

  exit(): void {
    this.#exit()
  }
}

/** Fakes in place of a node's threads, as they are started. */
export class FakeThreads {
  readonly threads: Map<ThreadName, FakeThread> = new Map()
  readonly #waiting: { readonly name: ThreadName; readonly resolve: () => void }[] = []

  readonly start: StartThread = (name, data, transfer, handlers) => {
    const thread = new FakeThread(data, handlers)
    // The line between the threads is nobody's here, and must not keep the process alive.
    for (const port of transfer) if (port instanceof MessagePort) port.close()
    this.threads.set(name, thread)
    for (const waiting of this.#waiting) if (waiting.name === name) waiting.resolve()
    return thread
  }

  async started(name: ThreadName): Promise<FakeThread> {
    if (!this.threads.has(name)) {
      await new Promise<void>((resolve) => this.#waiting.push({ name, resolve }))
    }
    return this.threads.get(name) as FakeThread
  }

  engineData(): EngineWorkerData {
    return this.threads.get('engine')?.data as EngineWorkerData
  }
}

export function errorMessage(code: string, message: string): ErrorMessage {
  return { code, message, retryable: false, outcome: 'not-applied' }
}
