/** The writers of a member: each keeps one write under way, as a server's requests would. */
import type { ColmenaNode } from '../src/index.ts'
import { monotonicMs } from './clock.ts'
import type { Recording } from './protocol.ts'

export const SCHEMA = 'CREATE TABLE items (id INTEGER PRIMARY KEY, owner INTEGER, note TEXT)'
export const INSERT = 'INSERT INTO items (owner, note) VALUES (?, ?)'
export const NOTE: string = 'a note of a hundred characters '.padEnd(100, '.')
const RSS_POLL_MS = 50

export class Load {
  readonly #node: ColmenaNode
  #running: Promise<void>[] = []
  #isStopping = false
  #endsMs: number[] = []
  #latenciesMs: number[] = []
  #peakRssBytes = 0
  #poll: NodeJS.Timeout | undefined

  constructor(node: ColmenaNode) {
    this.#node = node
  }

  get peakRssBytes(): number {
    return this.#peakRssBytes
  }

  start(writers: number): void {
    this.#isStopping = false
    this.#endsMs = []
    this.#latenciesMs = []
    this.#peakRssBytes = 0
    this.#poll = setInterval(() => {
      this.#peakRssBytes = Math.max(this.#peakRssBytes, process.memoryUsage.rss())
    }, RSS_POLL_MS)
    this.#running = Array.from({ length: writers }, (_, owner) => this.#write(owner))
  }

  /** @throws what a write failed with: a row that measured errors would be a wrong row. */
  async stop(): Promise<Recording> {
    this.#isStopping = true
    clearInterval(this.#poll)
    await Promise.all(this.#running)
    return {
      endsMs: Float64Array.from(this.#endsMs),
      latenciesMs: Float64Array.from(this.#latenciesMs),
    }
  }

  async #write(owner: number): Promise<void> {
    const db = this.#node.database()
    while (!this.#isStopping) {
      const startedMs = monotonicMs()
      await db.execute(INSERT, [owner, NOTE])
      const endedMs = monotonicMs()
      this.#endsMs.push(endedMs)
      this.#latenciesMs.push(endedMs - startedMs)
    }
  }
}
