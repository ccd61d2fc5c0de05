/**
 * Many lives on threads, each of which takes every so-manieth seed. A life that never ends, and one
 * that ends its thread, is a failure of its seed alone: another thread goes on behind it.
 */
import { setImmediate } from 'node:timers/promises'
import { parentPort, Worker, workerData } from 'node:worker_threads'
import type { LifeOptions, LifeReport } from './life.ts'
import { LIVES, removePassing } from './passing.ts'

export interface ManyOptions {
  readonly first: number
  readonly last: number
  readonly threads: number
  /** What all of these lives have in common. */
  readonly life: Omit<LifeOptions, 'seed'>
  /** What a thread runs, which calls {@link liveEach}. */
  readonly thread?: URL
  /** So much real time one life may take. */
  readonly limitMs?: number
  /** Lives that have not ended by then are not told of. */
  readonly signal?: AbortSignal
  readonly ended: (end: LifeEnd) => void
}

/** How one life ended. */
export interface LifeEnd {
  readonly seed: number
  readonly violations: readonly string[]
  /** Null where nothing else is known of it. */
  readonly report: LifeReport | null
}

type LifeNews =
  | { readonly kind: 'began'; readonly seed: number }
  | { readonly kind: 'ended'; readonly report: LifeReport }

interface LivesOrder extends Pick<ManyOptions, 'last' | 'life'> {
  readonly from: number
  readonly step: number
}

/** A usual life takes a second or two. */
const LIFE_MS_MAX = 300_000

export async function liveMany(options: ManyOptions): Promise<void> {
  const { first, threads } = options
  // Lives that are ended in their midst leave theirs, in memory.
  process.on('exit', removeFolders)
  const each = Array.from({ length: threads }, (_, at) => liveInTurn(options, first + at))
  await Promise.all(each)
  process.off('exit', removeFolders)
  removeFolders()
}

function removeFolders(): void {
  removePassing(LIVES, process.pid)
}

async function liveInTurn(options: ManyOptions, first: number): Promise<void> {
  const { last, threads, signal, ended } = options
  for (let from = first; from <= last; ) {
    const failed = await runThread(options, from)
    if (failed === null || signal?.aborted === true) return
    ended(failed)
    from = failed.seed + threads
  }
}

/**
 * Lives from a seed on, until all have ended or one ends its thread: that one. @throws what ended
 * the thread while no life was under way.
 */
function runThread(options: ManyOptions, from: number): Promise<LifeEnd | null> {
  const { last, threads: step, life, signal, limitMs = LIFE_MS_MAX } = options
  const { promise, resolve, reject } = Promise.withResolvers<LifeEnd | null>()
  const { thread = new URL('lives-thread.ts', import.meta.url) } = options
  const order: LivesOrder = { from, last, step, life }
  const worker = new Worker(thread, { workerData: order })
  let seed: number | null = null
  let failure: string | null = null
  let isGivenUp = false
  let limit: NodeJS.Timeout | undefined
  const stop = (): void => void worker.terminate()
  const giveUp = (): void => {
    isGivenUp = true
    failure = `it did not end within ${limitMs / 1_000} s`
    stop()
  }
  signal?.addEventListener('abort', stop)
  worker.on('message', (news: LifeNews) => {
    // Sent before its end, and heard after that was decided.
    if (isGivenUp || signal?.aborted === true) return
    clearTimeout(limit)
    if (news.kind === 'began') {
      seed = news.seed
      limit = setTimeout(giveUp, limitMs)
    } else {
      seed = null
      const { report } = news
      options.ended({ seed: report.seed, violations: report.violations, report })
    }
  })
  worker.on('error', (error: unknown) => {
    failure ??= error instanceof Error ? (error.stack ?? error.message) : `it threw ${error}`
  })
  worker.on('exit', (status) => {
    clearTimeout(limit)
    signal?.removeEventListener('abort', stop)
    if (seed !== null) {
      const what = failure ?? `it ended its thread, with status ${status}`
      resolve({ seed, violations: [`liveness: ${what}`], report: null })
    } else if (failure !== null) reject(new Error(failure))
    else resolve(null)
  })
  return promise
}

/** What a thread does: one life after the other, each of which is told of before it begins. */
export async function liveEach(live: (options: LifeOptions) => LifeReport): Promise<void> {
  const { from, last, step, life }: LivesOrder = workerData
  const tell = (news: LifeNews): void => parentPort?.postMessage(news)
  for (let seed = from; seed <= last; seed += step) {
    tell({ kind: 'began', seed })
    const report = live({ seed, ...life })
    // What it left to come, or to fail, is still of this seed.
    await setImmediate()
    tell({ kind: 'ended', report })
  }
}
