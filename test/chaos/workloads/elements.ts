import type { Client } from '../client.ts'
import { type Add, judgeElements, type Read } from '../judge-elements.ts'
import { type Books, isDone, type Window, Windows, type Workload } from './workload.ts'

type Item = Add | Read

const ITEMS_MAX = 150
const READ_CHANCE = 0.4
const STRONG_CHANCE = 0.7
const OTHER_LEVELS = ['weak', 'lease', 'none'] as const

export interface ElementsOptions {
  readonly name: string
  readonly clients: number
  /** How many each write adds, as one batch: all are there, or none. */
  readonly together: number
}

/**
 * Elements that are added, one or a few at a time, and read all together in the order in which they
 * came: a list that is appended to, and a set.
 */
export class Elements implements Workload {
  readonly name: string
  readonly clients: number
  readonly schema: readonly string[]
  readonly ids: string
  readonly #together: number
  readonly #books: Books
  readonly #windows: Windows<Item>

  constructor(books: Books, { name, clients, together }: ElementsOptions) {
    this.name = name
    this.clients = clients
    this.#together = together
    this.#books = books
    // No uniqueness, so that a write done twice shows.
    this.schema = [
      `CREATE TABLE ${name} (at INTEGER PRIMARY KEY, key INTEGER NOT NULL, id INTEGER NOT NULL)`,
      `CREATE INDEX ${name}_key ON ${name} (key)`,
    ]
    this.ids = `SELECT id FROM ${name}`
    this.#windows = new Windows(ITEMS_MAX, (window) => this.#judge(window))
  }

  async step(client: Client): Promise<void> {
    const window = this.#windows.enter()
    if (client.random.chance(READ_CHANCE)) await this.#read(client, window)
    else await this.#add(client, window)
    this.#windows.leave(window)
  }

  finish(): void {
    this.#windows.finish()
  }

  #judge({ key, items }: Window<Item>): void {
    const adds = items.filter((item) => 'fate' in item)
    const reads = items.filter((item) => 'level' in item)
    judgeElements(`${this.name} ${key}`, adds, reads, this.#books.verdict)
  }

  async #add(client: Client, window: Window<Item>): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const { ledger, record } = this.#books
    const ids = Array.from({ length: this.#together }, () => ledger.next())
    const sql = `INSERT INTO ${this.name} (key, id) VALUES (?, ?)`
    const statements = ids.map((id) => [sql, [window.key, id]] as const)
    const answer = await (statements.length === 1
      ? client.call(seat, 'execute', sql, [window.key, ids[0]])
      : client.call(seat, 'batch', statements))
    const { callMs, fate } = answer
    for (const id of ids) ledger.settle(id, fate)
    const returnMs = isDone(fate) ? answer.returnMs : Number.POSITIVE_INFINITY
    window.items.push({ ids, callMs, returnMs, fate })
    record.note(this.name, 'add', client.number, answer, { key: window.key, ids })
  }

  async #read(client: Client, window: Window<Item>): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const { key } = window
    const level = client.random.chance(STRONG_CHANCE) ? 'strong' : client.random.pick(OTHER_LEVELS)
    const sql = `SELECT id FROM ${this.name} WHERE key = ? ORDER BY at`
    const answer = await client.call(seat, 'execute', sql, [key], { consistency: level })
    const { at, callMs, returnMs } = answer
    const ids = answer.value?.rows.map((row) => Number(row['id'])) ?? null
    if (ids !== null) window.items.push({ ids, level, callMs, returnMs, at })
    this.#books.record.note(this.name, `read ${level}`, client.number, answer, { key }, ids)
  }
}
