/** Preloaded into a process and its threads: all of them give back what nothing holds. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { BroadcastChannel, isMainThread } from 'node:worker_threads'

const COLLECT = 'collect'
/** The engine's and the storage's. */
const THREADS = 2

type Collect = (how: { readonly flavor: string; readonly execution: 'sync' }) => void

function collectHere(): void {
  setFlagsFromString('--expose-gc')
  // Room that a heap has grown to and does not use is given back by this alone.
  ;(runInNewContext('gc') as Collect)({ flavor: 'last-resort', execution: 'sync' })
}

/** Resolves once the main thread, which calls it, and all others have done so. */
export async function collectGarbage(): Promise<void> {
  const channel = new BroadcastChannel('garbage')
  const all = Promise.withResolvers<void>()
  let answers = 0
  channel.onmessage = () => {
    answers += 1
    if (answers === THREADS) all.resolve()
  }
  channel.postMessage(COLLECT)
  collectHere()
  await all.promise
  channel.close()
}

if (!isMainThread) {
  const channel = new BroadcastChannel('garbage')
  channel.onmessage = (event) => {
    if ((event as { readonly data: unknown }).data !== COLLECT) return
    collectHere()
    channel.postMessage('done')
  }
  channel.unref()
}
