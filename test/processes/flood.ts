/** More writers than a node can take: each counts in a row of its own, as fast as it can. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ColmenaNode } from '../../src/index.ts'
import { type FloodOptions, type FloodReport, toProcessError } from './protocol.ts'

export const FLOOD_SCHEMA =
  'CREATE TABLE flood (writer INTEGER PRIMARY KEY, count INTEGER NOT NULL, body BLOB NOT NULL)'

const COUNT =
  'INSERT INTO flood VALUES (?, 1, ?) ' +
  'ON CONFLICT (writer) DO UPDATE SET count = count + 1, body = excluded.body'
/** What a caller that is told "later" does at least: a tenth of a second. */
const PAUSE_MS = 100

export class Flood {
  readonly #node: ColmenaNode
  readonly #acknowledged: number[]
  readonly #refused: number[]
  readonly #unknown: number[]
  readonly #failures: Record<string, number> = {}
  readonly #running: readonly Promise<void>[]
  #isStopping = false

  constructor(node: ColmenaNode, { count, bodyBytes }: FloodOptions) {
    this.#node = node
    const zeros = (): number[] => Array.from({ length: count }, () => 0)
    this.#acknowledged = zeros()
    this.#refused = zeros()
    this.#unknown = zeros()
    const body = new Uint8Array(bodyBytes).fill(7)
    this.#running = zeros().map((_, writer) => this.#write(writer, body))
  }

  async stop(): Promise<FloodReport> {
    this.#isStopping = true
    await Promise.all(this.#running)
    return {
      acknowledged: this.#acknowledged,
      refused: this.#refused,
      unknown: this.#unknown,
      failures: this.#failures,
    }
  }

  async #write(writer: number, body: Uint8Array): Promise<void> {
    const db = this.#node.database()
    while (!this.#isStopping) {
      try {
        await db.execute(COUNT, [writer, body])
        this.#count(this.#acknowledged, writer)
      } catch (error) {
        const { code, retryable, outcome } = toProcessError(error)
        const failure = `${code} ${outcome} ${retryable ? 'retryable' : 'final'}`
        this.#failures[failure] = (this.#failures[failure] ?? 0) + 1
        this.#count(outcome === 'not-applied' ? this.#refused : this.#unknown, writer)
        await pause(PAUSE_MS)
      }
    }
  }

  #count(counts: number[], writer: number): void {
    counts[writer] = (counts[writer] ?? 0) + 1
  }
}
