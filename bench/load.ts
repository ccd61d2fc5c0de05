/** The writers of a member: each keeps one write under way, as a server's requests would. */
import { monotonicMs } from './clock.ts'
import type { Recording } from './protocol.ts'

export const SCHEMA = 'CREATE TABLE items (id INTEGER PRIMARY KEY, owner INTEGER, note TEXT)'
export const INSERT = 'INSERT INTO items (owner, note) VALUES (?, ?)'
export const NOTE: string = 'a note of a hundred characters '.padEnd(100, '.')
const RSS_POLL_MS = 50

/** One write of the writer of that number. */
export type Write = (owner: number) => Promise<unknown>

export class Load {
  #running: Promise<void>[] = []
  #isStopping = false
  #endsMs: number[] = []
  #latenciesMs: number[] = []
  #peakRssBytes = 0
  #poll: NodeJS.Timeout | undefined

  get peakRssBytes(): number {
    return this.#peakRssBytes
  }

  start(writers: number, write: Write): void {
    this.#isStopping = false
    this.#endsMs = []
    this.#latenciesMs = []
    this.#peakRssBytes = 0
    this.#poll = setInterval(() => {
      this.#peakRssBytes = Math.max(this.#peakRssBytes, process.memoryUsage.rss())
    }, RSS_POLL_MS)
    this.#running = Array.from({ length: writers }, (_, owner) => this.#repeat(owner, write))
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

  async #repeat(owner: number, write: Write): Promise<void> {
    while (!this.#isStopping) {
      const startedMs = monotonicMs()
      await write(owner)
      const endedMs = monotonicMs()
      this.#endsMs.push(endedMs)
      this.#latenciesMs.push(endedMs - startedMs)
    }
  }
}
