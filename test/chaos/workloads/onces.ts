import type { Client } from '../client.ts'
import { type Books, type Query, type Window, Windows, type Workload } from './workload.ts'

const CALLS_MAX = 8
const LEASE_MS = 1_500
/** Longer than any key is in use. */
const TTL_MS = 3_600_000

/** Several callers of one key: whoever gets a result gets the same one. */
export class Onces implements Workload {
  readonly name: string = 'onces'
  readonly clients: number = 3
  /** As the processes have it for `once`: the work notes its run, and its result is its number. */
  readonly schema: readonly string[] = ['CREATE TABLE runs (id INTEGER PRIMARY KEY, node)']
  readonly #books: Books
  readonly #windows: Windows<number>
  readonly #results = new Set<number>()

  constructor(books: Books) {
    this.#books = books
    this.#windows = new Windows(CALLS_MAX, (window) => this.#judge(window))
  }

  async step(client: Client): Promise<void> {
    const window = this.#windows.enter()
    await this.#call(client, window)
    this.#windows.leave(window)
  }

  finish(): void {
    this.#windows.finish()
  }

  judgeEnd(query: Query, where: string): void {
    const runs = new Set(query('SELECT id FROM runs').map(([id]) => Number(id)))
    for (const result of this.#results) {
      if (runs.has(result)) continue
      this.#books.verdict.add('lost', `${where} lacks run ${result}, whose result callers have`)
    }
  }

  async #call(client: Client, window: Window<number>): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const answer = await client.call(seat, 'once', {
      key: `once ${window.key}`,
      callers: 1,
      ttlMs: TTL_MS,
      leaseMs: LEASE_MS,
    })
    const [result] = (answer.value ?? []) as readonly { readonly id: number }[]
    if (result !== undefined) window.items.push(Number(result.id))
    const output = result?.id ?? null
    this.#books.record.note(this.name, 'once', client.number, answer, window.key, output)
  }

  #judge({ key, items }: Window<number>): void {
    const results = new Set(items)
    for (const result of results) this.#results.add(result)
    if (results.size <= 1) return
    const text = `callers of once ${key} have the results of several runs: ${[...results]}`
    this.#books.verdict.add('broken', text)
  }
}
