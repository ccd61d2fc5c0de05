/**
 * The first file of a node's thread that can be profiled: it runs the real one. A flag of the
 * process does not reach the threads of a node, so each is asked from within.
 */
import { Session } from 'node:inspector/promises'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import { BroadcastChannel, isMainThread, Worker, type WorkerOptions } from 'node:worker_threads'
import type { ProfiledThread } from './protocol.ts'

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
  const [, , entry = '', name] = process.argv
  const channel = new BroadcastChannel(CHANNEL)
  channel.unref()
  channel.onmessage = ({ data }: { readonly data: unknown }): void => {
    const order = data as Order | Answer
    if (!('action' in order) || order.thread !== name) return
    void obey(order).then((answer) => channel.postMessage(answer))
  }
  await import(entry)
}

/** From now on threads of a node begin with this file; all else is as the package has it. */
export function profileThreads(): void {
  class ProfiledWorker extends Worker {
    constructor(entry: string | URL, options: WorkerOptions = {}) {
      const name = /^colmena-(engine|storage)$/.exec(options.name ?? '')?.[1]
      if (name === undefined) super(entry, options)
      else super(new URL(import.meta.url), { ...options, argv: [String(entry), name] })
    }
  }
  createRequire(import.meta.url)('node:worker_threads').Worker = ProfiledWorker
  syncBuiltinESMExports()
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
