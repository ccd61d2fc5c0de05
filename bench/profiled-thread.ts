/**
 * The first file of a node's thread that can be profiled: it runs the real one. A flag of the
 * process does not reach the threads of a node, so each is asked from within.
 */
import { Session } from 'node:inspector/promises'
import { BroadcastChannel, isMainThread, Worker } from 'node:worker_threads'
import { type StartThread, type ThreadName, watchWorker } from '../src/node/threads.ts'
import type { ProfiledThread } from './protocol.ts'

const ENTRIES: Readonly<Record<ThreadName, string>> = {
  engine: new URL('../dist/engine/engine-thread.js', import.meta.url).href,
  storage: new URL('../dist/database/storage-thread.js', import.meta.url).href,
}
const CHANNEL = 'colmena-bench-profile'
const SAMPLING_MICROSECONDS = 200

interface Order {
  readonly thread: ProfiledThread
  readonly action: 'start' | 'stop'
}

interface Answer {
  readonly thread: ProfiledThread
  /** '' when it was started. */
  readonly profile: string
}

const session = new Session()

if (!isMainThread) {
  const name = process.argv[2] as ThreadName
  const channel = new BroadcastChannel(CHANNEL)
  channel.unref()
  channel.onmessage = ({ data }: { readonly data: unknown }): void => {
    const order = data as Order | Answer
    if (!('action' in order) || order.thread !== name) return
    void obey(order).then((answer) => channel.postMessage(answer))
  }
  await import(ENTRIES[name])
}

/** Starts the threads of a node as this file. */
export const startProfiledWorker: StartThread = (name, workerData, transfer, handlers) => {
  const worker = new Worker(new URL(import.meta.url), {
    name: `profiled-${name}`,
    argv: [name],
    workerData,
    transferList: [...transfer],
    execArgv: [],
    // As the product has it: collecting garbage is a part of what is measured.
    resourceLimits: { maxYoungGenerationSizeMb: 16 },
  })
  return watchWorker(worker, handlers)
}

export async function startProfile(thread: ProfiledThread): Promise<void> {
  await order({ thread, action: 'start' })
}

/** The profile since {@link startProfile}, as a `.cpuprofile` holds it. */
export async function stopProfile(thread: ProfiledThread): Promise<string> {
  return (await order({ thread, action: 'stop' })).profile
}

function order(wanted: Order): Promise<Answer> {
  if (wanted.thread === 'user') return obey(wanted)
  const channel = new BroadcastChannel(CHANNEL)
  const { promise, resolve } = Promise.withResolvers<Answer>()
  channel.onmessage = ({ data }: { readonly data: unknown }): void => {
    const answer = data as Order | Answer
    if ('action' in answer || answer.thread !== wanted.thread) return
    channel.close()
    resolve(answer)
  }
  channel.postMessage(wanted)
  return promise
}

async function obey({ thread, action }: Order): Promise<Answer> {
  if (action === 'start') {
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_MICROSECONDS })
    await session.post('Profiler.start')
    return { thread, profile: '' }
  }
  const { profile } = await session.post('Profiler.stop')
  session.disconnect()
  return { thread, profile: JSON.stringify(profile) }
}
