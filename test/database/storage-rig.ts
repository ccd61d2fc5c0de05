import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { SharedState } from '../../src/base/shared-state.ts'
import { type CommandResult, decodeCommandResult } from '../../src/command/command.ts'
import {
  type AppliedReport,
  decodeResults,
  type HashedContent,
  type ReplicaState,
  StorageClient,
  type StorageToUser,
  type StorageWorkerData,
  type TimedResult,
} from '../../src/database/database.ts'
import { GENESIS, LogMaker, makeDirectory, ORIGIN } from './log-maker.ts'

const entry = new URL('../../src/database/storage-thread.ts', import.meta.url)

/** A storage thread with both of its ends in this one. */
export class Storage {
  readonly shared: SharedState = new SharedState()
  readonly worker: Worker
  readonly client: StorageClient
  readonly results: CommandResult[] = []
  readonly timed: TimedResult[] = []
  readonly reports: AppliedReport[] = []
  readonly halts: (string | null)[] = []
  readonly hashed: HashedContent[] = []
  readonly userMessages: StorageToUser[] = []
  readonly opened: Promise<ReplicaState>
  failure: Error | null = null
  #wake: (() => void)[] = []

  constructor(dataDir: string, more: Partial<StorageWorkerData> = {}) {
    const { port1, port2 } = new MessageChannel()
    const data: StorageWorkerData = {
      dataDir,
      generation: 1,
      genesis: GENESIS,
      memberId: 1,
      ownOrigin: ORIGIN,
      shared: this.shared.buffer,
      enginePort: port2,
      retryPauseMs: 20,
      slowMs: 1_000,
      ...more,
    }
    this.worker = new Worker(entry, { workerData: data, transferList: [port2] })
    this.worker.on('error', (error: Error) => {
      this.failure = error
      this.#changed()
    })
    this.worker.on('message', (message: StorageToUser) => {
      this.userMessages.push(message)
      if (message.kind === 'results') {
        for (const timed of decodeResults(message.bytes)) {
          const result = decodeCommandResult(timed.bytes)
          // What a result speaks of must already be seen in shared memory.
          assert.ok(this.shared.applied() >= result.index)
          this.timed.push(timed)
          this.results.push(result)
        }
      }
      this.#changed()
    })
    const opened = Promise.withResolvers<ReplicaState>()
    this.opened = opened.promise
    this.client = new StorageClient(port1, {
      opened: opened.resolve,
      applied: (report) => {
        this.reports.push(report)
        this.#changed()
      },
      halted: (reason) => {
        this.halts.push(reason)
        this.#changed()
      },
      hashed: (hashed) => {
        this.hashed.push(hashed)
        this.#changed()
      },
    })
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error('the condition never came')), 20_000)
        this.#wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  async close(): Promise<void> {
    const exit = once(this.worker, 'exit')
    await new Promise<void>((resolve, reject) => {
      this.client.close((error) => (error === null ? resolve() : reject(error)))
    })
    await exit
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }
}

export function startStorage(
  context: TestContext,
  more: Partial<StorageWorkerData> = {},
  dataDir: string = makeDirectory(context),
): Storage {
  const storage = new Storage(dataDir, more)
  context.after(() => storage.worker.terminate())
  return storage
}

export function makeLog(rows: number): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  for (let i = 0; i < rows; i += 1) log.write('app', [['INSERT INTO t VALUES (?)', BigInt(i)]])
  return log
}
