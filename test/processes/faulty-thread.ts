/**
 * The first file of a thread that can be broken from outside: it runs the real one, and listens
 * beside it for the word to fail. The product knows nothing of it.
 */
import { BroadcastChannel, threadId, Worker } from 'node:worker_threads'
import { type StartThread, type ThreadName, watchWorker } from '../../src/node/threads.ts'
import { Writer } from '../../src/sqlite/sqlite.ts'

const ENTRIES: Readonly<Record<ThreadName, string>> = {
  engine: new URL('../../src/engine/engine-thread.ts', import.meta.url).href,
  storage: new URL('../../src/database/storage-thread.ts', import.meta.url).href,
}
const CHANNEL = 'colmena-test-faults'
/** Plenty for the work of a test, and soon exhausted by a thread that only takes. */
const HEAP_MIB_MAX = 128

interface Fault {
  readonly name: ThreadName
  readonly how: 'throw' | 'exhaust' | 'misapply'
}

const [, , role] = process.argv
if (role === 'engine' || role === 'storage') await runFaulty(role)

/** Starts the threads of a node as this file. */
export const startFaultyWorker: StartThread = (name, workerData, transfer, handlers) => {
  const worker = new Worker(new URL(import.meta.url), {
    name: `faulty-${name}`,
    argv: [name],
    workerData,
    transferList: [...transfer],
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
  })
  return watchWorker(worker, handlers)
}

/** Makes a thread of this process, started by {@link startFaultyWorker}, fail. */
export function breakThread(name: ThreadName, how: Fault['how']): void {
  const channel = new BroadcastChannel(CHANNEL)
  channel.postMessage({ name, how } satisfies Fault)
  channel.close()
}

/** The next UPDATE changes nothing, and nobody is told: as after a bug, or a flipped bit. */
function misapplyNext(): void {
  const { run } = Writer.prototype
  Writer.prototype.run = function (this: Writer, sql, args) {
    if (!sql.startsWith('UPDATE')) return run.call(this, sql, args)
    Writer.prototype.run = run
    return run.call(this, `${sql} WHERE 0`, args)
  }
}

async function runFaulty(name: ThreadName): Promise<void> {
  const channel = new BroadcastChannel(CHANNEL)
  channel.unref()
  channel.onmessage = ({ data }: { readonly data: unknown }): void => {
    const fault = data as Fault
    if (fault.name !== name) return
    if (fault.how === 'misapply') {
      misapplyNext()
      return
    }
    if (fault.how === 'throw') throw new Error(`thread ${threadId} was told to fail`)
    const kept: number[][] = []
    for (;;) kept.push(Array.from({ length: 100_000 }, (_, at) => at + kept.length))
  }
  await import(ENTRIES[name])
}
