import type { Client } from '../client.ts'
import type { Seat } from '../rig.ts'
import { transact } from './transact.ts'
import { type Books, isDone, type Query, type Workload } from './workload.ts'

const ACCOUNTS = 6
const EACH = 1_000
const AMOUNT_MAX = 50
const LEVELS = ['strong', 'weak', 'lease', 'none'] as const

/** What is taken from one account comes to another: no read ever sees another sum. */
export class Bank implements Workload {
  readonly name: string = 'bank'
  readonly clients: number = 3
  readonly schema: readonly string[] = [
    'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)',
    `INSERT INTO accounts SELECT value, ${EACH} FROM json_each('${accountIds()}')`,
    'CREATE TABLE transfers (id INTEGER NOT NULL, source INTEGER, target INTEGER, amount INTEGER)',
  ]
  readonly ids: string = 'SELECT id FROM transfers'
  readonly #books: Books

  constructor(books: Books) {
    this.#books = books
  }

  async step(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const kind = client.random.below(3)
    if (kind === 0) await this.#read(client, seat)
    else await this.#transfer(client, seat, kind === 1)
  }

  finish(): void {}

  judge(query: Query, where: string): void {
    const balances = new Map(query('SELECT id, balance FROM accounts').map(toPair))
    const expected = new Map(Array.from({ length: ACCOUNTS }, (_, at) => [at, EACH]))
    for (const row of query('SELECT source, target, amount FROM transfers')) {
      const [source, target, amount] = row.map(Number) as [number, number, number]
      expected.set(source, (expected.get(source) ?? 0) - amount)
      expected.set(target, (expected.get(target) ?? 0) + amount)
    }
    for (const [id, balance] of expected) {
      if (balances.get(id) === balance) continue
      const text = `account ${id} has ${balances.get(id)}, and ${balance} by its transfers`
      this.#books.verdict.add('broken', `${where}: ${text}`)
    }
  }

  async #read(client: Client, seat: Seat): Promise<void> {
    const level = client.random.pick(LEVELS)
    const sql = 'SELECT sum(balance) AS total FROM accounts'
    const answer = await client.call(seat, 'execute', sql, [], { consistency: level })
    const total = answer.value === null ? null : Number(answer.value.rows[0]?.['total'])
    const { record, verdict } = this.#books
    record.note(this.name, `read ${level}`, client.number, answer, null, total)
    if (total !== null && total !== ACCOUNTS * EACH) {
      verdict.add('broken', `a read ${level} of node ${seat.at + 1}: all accounts have ${total}`)
    }
  }

  /** As one batch; or as a transaction that gives nobody debts, and writes what it computed. */
  async #transfer(client: Client, seat: Seat, isBatch: boolean): Promise<void> {
    const { ledger, record } = this.#books
    const source = client.random.below(ACCOUNTS)
    const target = (source + 1 + client.random.below(ACCOUNTS - 1)) % ACCOUNTS
    const amount = client.random.between(1, AMOUNT_MAX)
    const id = ledger.next()
    const note = [
      'INSERT INTO transfers VALUES (?, ?, ?, ?)',
      [id, source, target, amount],
    ] as const
    const add = 'UPDATE accounts SET balance = balance + ? WHERE id = ?'
    const input = { id, source, target, amount }
    if (isBatch) {
      const statements = [[add, [-amount, source]], [add, [amount, target]], note] as const
      const answer = await client.call(seat, 'batch', statements)
      ledger.settle(id, answer.fate)
      record.note(this.name, 'batch', client.number, answer, input)
      return
    }
    const told = await transact(client, seat, async ({ execute }) => {
      const rows = await execute('SELECT id, balance FROM accounts WHERE id IN (?, ?)', [
        source,
        target,
      ])
      const balances = new Map(rows.map((row) => [Number(row['id']), Number(row['balance'])]))
      const [has, gets] = [balances.get(source) ?? 0, balances.get(target) ?? 0]
      if (has < amount) return false
      const set = 'UPDATE accounts SET balance = ? WHERE id = ?'
      await execute(set, [has - amount, source])
      await execute(set, [gets + amount, target])
      await execute(...note)
      return true
    })
    ledger.settle(id, told.fate)
    record.note(this.name, 'transaction', client.number, told, input, isDone(told.fate))
  }
}

function accountIds(): string {
  return JSON.stringify(Array.from({ length: ACCOUNTS }, (_, at) => at))
}

function toPair([id, balance]: readonly unknown[]): [number, number] {
  return [Number(id), Number(balance)]
}
