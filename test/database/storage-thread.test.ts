import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { MessageChannel, Worker } from 'node:worker_threads'
import { SharedState } from '../../src/base/shared-state.ts'
import { type CommandResult, decodeCommandResult } from '../../src/command/command.ts'
import {
  type AppliedReport,
  createReaders,
  decodeResults,
  type ReplicaState,
  STORAGE_THREAD_URL,
  StorageClient,
  type StorageToUser,
  type StorageWorkerData,
} from '../../src/database/database.ts'
import { GENESIS, LogMaker, makeDirectory, ORIGIN } from './log-maker.ts'

/** A storage thread with both of its ends in this one. */
class Storage {
  readonly shared: SharedState = new SharedState()
  readonly worker: Worker
  readonly client: StorageClient
  readonly results: CommandResult[] = []
  readonly reports: AppliedReport[] = []
  readonly halts: (string | null)[] = []
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
      ...more,
    }
    this.worker = new Worker(STORAGE_THREAD_URL, { workerData: data, transferList: [port2] })
    this.worker.on('error', (error: Error) => {
      this.failure = error
      this.#changed()
    })
    this.worker.on('message', (message: StorageToUser) => {
      this.userMessages.push(message)
      if (message.kind === 'results') {
        for (const bytes of decodeResults(message.bytes)) {
          const result = decodeCommandResult(bytes)
          // What a result speaks of must already be seen in shared memory.
          assert.ok(this.shared.applied() >= result.index)
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

function startStorage(context: TestContext, more: Partial<StorageWorkerData> = {}): Storage {
  const storage = new Storage(makeDirectory(context), more)
  context.after(() => storage.worker.terminate())
  return storage
}

test('entries go in, results come out on the user port, and readers see them', async (context) => {
  const dataDir = makeDirectory(context)
  const storage = new Storage(dataDir)
  const state = await storage.opened
  assert.equal(state.applied, 1)
  assert.equal(state.origin, '')
  const readers = createReaders({ directory: join(dataDir, 'db'), shared: storage.shared })
  context.after(() => readers.close())
  const app = readers.database('app')
  assert.deepEqual(app.query('SELECT count(*) FROM sqlite_schema', []).rows, [[0n]])

  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (v)'])
  storage.client.apply(log.entries)
  for (let i = 0; i < 500; i += 1) {
    storage.client.apply([log.write('app', [['INSERT INTO t VALUES (?)', BigInt(i)]])])
  }
  await storage.until(() => storage.results.length === 501)
  assert.deepEqual(
    storage.results.map(({ sequence }) => sequence),
    Array.from({ length: 501 }, (_, i) => i + 1),
  )
  assert.deepEqual(app.query('SELECT count(*), sum(v) FROM t', []).rows, [[500n, 124750n]])
  await storage.until(() => storage.reports.at(-1)?.applied === log.lastIndex)
  assert.equal(storage.reports.find(({ origin }) => origin !== null)?.origin, ORIGIN)
  await storage.close()
  assert.equal(storage.failure, null)
})

test('it says when the index is applied that the user thread waits for', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  storage.shared.setWaitedIndex(3)
  log.empty()
  log.empty()
  log.empty()
  storage.client.apply(log.entries)
  await storage.until(() => storage.userMessages.some(({ kind }) => kind === 'applied'))
  assert.ok(storage.shared.applied() >= 3)
  await storage.close()
})

test('an exception that is our bug ends the thread where its owner sees it', async (context) => {
  const storage = startStorage(context)
  await storage.opened
  const log = new LogMaker()
  log.empty()
  log.empty()
  storage.client.apply(log.after(2))
  await storage.until(() => storage.failure !== null)
  assert.match(storage.failure?.message ?? '', /invariant broken/)
})
