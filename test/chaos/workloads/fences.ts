import type { Client } from '../client.ts'
import type { Seat } from '../rig.ts'
import type { Books, Query, Workload } from './workload.ts'

const KEY = 'counter'
const TTL_MS = 1_500
const WAIT_MS = 1_500
const ROUNDS_MAX = 4

/**
 * Holders of one lock count: each reads the last number and writes the next one, with the lock as
 * its fence. No number comes twice, and none under a lock after one that was given later, whoever
 * stood still meanwhile.
 */
export class Fences implements Workload {
  readonly name: string = 'fences'
  readonly clients: number = 3
  readonly schema: readonly string[] = [
    'CREATE TABLE fences (at INTEGER PRIMARY KEY, n INTEGER NOT NULL, token INTEGER, id INTEGER)',
  ]
  readonly ids: string = 'SELECT id FROM fences'
  readonly #books: Books

  constructor(books: Books) {
    this.#books = books
  }

  async step(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const { record } = this.#books
    const locked = await client.call(seat, 'lock', KEY, { ttlMs: TTL_MS, waitMs: WAIT_MS })
    record.note(this.name, 'lock', client.number, locked, null, locked.value)
    if (locked.value === null) return
    const token = locked.value
    const rounds = client.random.between(1, ROUNDS_MAX)
    for (let round = 0; round < rounds; round += 1) {
      // Once something went wrong it may still come: then this holder must write no more.
      if (!(await this.#count(client, seat, token))) break
    }
    const released = await client.call(seat, 'release', token)
    record.note(this.name, 'release', client.number, released, token, released.value)
  }

  finish(): void {}

  judge(query: Query, where: string): void {
    const { verdict } = this.#books
    let [lastN, lastToken] = [0, 0]
    for (const [first, second] of query('SELECT n, token FROM fences ORDER BY at')) {
      const [n, token] = [Number(first), Number(second)]
      if (n !== lastN + 1) {
        verdict.add('broken', `${where}: ${n} was counted after ${lastN}, under lock ${token}`)
      }
      if (token < lastToken) {
        verdict.add('broken', `${where}: lock ${token} wrote ${n} after lock ${lastToken} had`)
      }
      ;[lastN, lastToken] = [n, token]
    }
  }

  /** Whether it was counted. */
  async #count(client: Client, seat: Seat, token: number): Promise<boolean> {
    const { ledger, record } = this.#books
    const sql = 'SELECT max(n) AS n FROM fences'
    const read = await client.call(seat, 'execute', sql, [], { consistency: 'strong' })
    const n = read.value === null ? null : Number(read.value.rows[0]?.['n'] ?? 0)
    record.note(this.name, 'read', client.number, read, null, n)
    if (n === null) return false
    const id = ledger.next()
    const insert = 'INSERT INTO fences (n, token, id) VALUES (?, ?, ?)'
    const written = await client.call(seat, 'execute', insert, [n + 1, token, id], {
      fence: { token },
    })
    ledger.settleFenced(id, written.fate)
    record.note(this.name, 'count', client.number, written, { n: n + 1, token, id })
    return written.fate === 'ok'
  }
}
