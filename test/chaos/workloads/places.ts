import type { Client } from '../client.ts'
import { transact } from './transact.ts'
import type { Books, Query, Workload } from './workload.ts'

const PLACES = 5

/** Transactions that look whether there is a place left, and take one only then. */
export class Places implements Workload {
  readonly name: string = 'places'
  readonly clients: number = 2
  readonly schema: readonly string[] = [
    'CREATE TABLE places (room INTEGER NOT NULL, id INTEGER NOT NULL)',
    'CREATE INDEX places_room ON places (room)',
  ]
  readonly ids: string = 'SELECT id FROM places'
  readonly #books: Books
  /** The first that may have places left. */
  #room = 1

  constructor(books: Books) {
    this.#books = books
  }

  async step(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const { ledger, record } = this.#books
    const [room, id] = [this.#room, ledger.next()]
    const told = await transact(client, seat, async ({ execute }) => {
      const [row] = await execute('SELECT count(*) AS taken FROM places WHERE room = ?', [room])
      const taken = Number(row?.['taken'])
      if (taken > PLACES) this.#books.verdict.add('broken', `room ${room}: ${taken} are in it`)
      if (taken >= PLACES) {
        this.#room = Math.max(this.#room, room + 1)
        return false
      }
      await execute('INSERT INTO places VALUES (?, ?)', [room, id])
      return true
    })
    ledger.settle(id, told.fate)
    record.note(this.name, 'take', client.number, told, { room, id })
  }

  finish(): void {}

  judge(query: Query, where: string): void {
    const sql = `SELECT room, count(*) FROM places GROUP BY room HAVING count(*) > ${PLACES}`
    for (const [room, taken] of query(sql)) {
      this.#books.verdict.add(
        'broken',
        `${where}: room ${room} has ${PLACES} places, ${taken} taken`,
      )
    }
  }
}
