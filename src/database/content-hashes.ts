import { Worker } from 'node:worker_threads'
import type { HashAnswer, HashSource } from './hash-thread.ts'
import type { HashedContent } from './storage-protocol.ts'

/** Hashes that are expected at one time; more members than this never ask at once. */
const EXPECTED_MAX = 16

export interface ContentHashesOptions {
  /** Read transactions hold the index: apply may go on. */
  readonly pinned: () => void
  readonly hashed: (hashed: HashedContent) => void
}

/** A thread that waits for its entry for so long is not needed any more. */
const EXPECTED_MS_MAX = 60_000

/**
 * Hashes all content at one index, on a thread of its own, which is there before the entry comes
 * that names the index: apply stands still only until the thread has opened its read transactions.
 * An entry that nobody waits for is passed over: a replay must not read every database again for a
 * question of yesterday.
 */
export class ContentHashes {
  readonly #options: ContentHashesOptions
  readonly #expected = new Set<string>()
  #worker: Worker | null = null
  /** What the thread is at; null while it waits for its entry. */
  #work: { readonly key: string; readonly index: number } | null = null
  #isPinning = false
  #idleTimer: NodeJS.Timeout | null = null

  constructor(options: ContentHashesOptions) {
    this.#options = options
  }

  /** While true nothing may be applied. */
  get isPinning(): boolean {
    return this.#isPinning
  }

  expect(key: string): void {
    const [oldest] = this.#expected
    if (this.#expected.size >= EXPECTED_MAX && oldest !== undefined) this.#expected.delete(oldest)
    this.#expected.add(key)
    this.#worker ??= this.#start()
    if (this.#work === null) this.#endWhenIdle(this.#worker)
  }

  /** Between two groups, right behind the entry that names `key`. */
  begin(key: string, source: HashSource): void {
    if (!this.#expected.delete(key)) return
    const { index } = source
    if (this.#work !== null) {
      this.#options.hashed({ key, index, hashes: null, error: 'another hash is under way' })
      return
    }
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#worker ??= this.#start()
    this.#work = { key, index }
    this.#isPinning = true
    this.#worker.postMessage(source)
  }

  /** Other files took the place of those that are hashed, or none are left. */
  close(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    void this.#worker?.terminate()
  }

  #start(): Worker {
    const worker = new Worker(locateThread(), { name: 'colmena-hash', execArgv: [] })
    let answered: Pick<HashedContent, 'hashes' | 'error'> = GIVEN_UP
    worker.on('message', (answer: HashAnswer) => {
      if (answer.kind === 'pinned') this.#unpin()
      else answered = answer
    })
    worker.on('error', (error) => {
      answered = { hashes: null, error: error.message }
    })
    worker.on('exit', () => {
      const work = this.#work
      this.#worker = null
      this.#work = null
      if (work === null) return
      this.#unpin()
      const { hashes, error } = answered
      this.#options.hashed({ ...work, hashes, error })
    })
    return worker
  }

  #endWhenIdle(worker: Worker): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void worker.terminate(), EXPECTED_MS_MAX)
    this.#idleTimer.unref()
  }

  #unpin(): void {
    if (!this.#isPinning) return
    this.#isPinning = false
    this.#options.pinned()
  }
}

const GIVEN_UP = { hashes: null, error: 'the hash was given up' }

/** Only when needed: bundles of CommonJS have no `import.meta.url`, whatever its type says. */
function locateThread(): URL {
  // The sources run as they are and as they are built: an entry ends as this very file does.
  const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  return new URL(`../database/hash-thread${ending}`, import.meta.url)
}
