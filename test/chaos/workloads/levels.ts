import type { Client } from '../client.ts'
import { type Asked, LevelsOracle } from '../levels-oracle.ts'
import type { Told } from '../record.ts'
import { ELECTION_TIMEOUT_MS_MAX } from '../rig.ts'
import type { Books, Query, Workload } from './workload.ts'

const ASKED: readonly Asked[] = ['strong', 'weak', 'lease', 'none', 'bounded', 'after']
const BOUND_MS = 500
const ISOLATED_CHANCE = 0.05

/** One number that one client raises through all nodes, and reads of it at every level. */
export class Levels implements Workload {
  readonly name: string = 'levels'
  readonly clients: number = 4
  readonly schema: readonly string[] = [
    'CREATE TABLE levels (n INTEGER NOT NULL)',
    'INSERT INTO levels VALUES (0)',
  ]
  readonly #books: Books
  readonly #oracle: LevelsOracle
  #writer: Client | null = null
  #n = 0

  constructor(books: Books) {
    this.#books = books
    const bounds = { leaseMs: ELECTION_TIMEOUT_MS_MAX, boundedMs: BOUND_MS }
    this.#oracle = new LevelsOracle(bounds, books.verdict)
  }

  async step(client: Client): Promise<void> {
    this.#writer ??= client
    if (this.#writer === client) await this.#raise(client)
    else await this.#read(client)
  }

  finish(): void {}

  judgeEnd(query: Query, where: string): void {
    const [[n] = []] = query('SELECT n FROM levels')
    const least = this.#oracle.newest.n
    if (Number(n) >= least) return
    this.#books.verdict.add('lost', `${where} says ${n}, and ${least} was acknowledged`)
  }

  async #raise(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    this.#n += 1
    const n = this.#n
    this.#oracle.begin(n, performance.now())
    // One of which nothing is known may come later, and takes nothing back.
    const answer = await client.call(seat, 'execute', 'UPDATE levels SET n = max(n, ?)', [n])
    const index = answer.value?.index ?? 0
    if (answer.fate === 'ok') this.#oracle.acknowledge(n, answer.returnMs, index)
    this.#books.record.note(this.name, 'raise', client.number, answer, n, index)
  }

  async #read(client: Client): Promise<void> {
    const seat = client.pick()
    if (seat?.handle == null) return
    const asked = client.random.pick(ASKED)
    const newest = this.#oracle.newest
    const { handle } = seat
    const answer = await client.call(seat, 'execute', 'SELECT n FROM levels', [], {
      isolated: client.random.chance(ISOLATED_CHANCE),
      ...(asked === 'bounded' ? { maxStalenessMs: BOUND_MS } : {}),
      ...(asked === 'after' ? { consistency: 'none', after: newest.index } : {}),
      ...(asked === 'bounded' || asked === 'after' ? {} : { consistency: asked }),
    })
    const n = answer.value === null ? null : Number(answer.value.rows[0]?.['n'])
    const told: Told = answer
    this.#books.record.note(this.name, `read ${asked}`, client.number, told, newest, n)
    if (n === null) return
    const level = answer.value?.consistency ?? 'none'
    const { callMs, returnMs } = told
    this.#oracle.judge({ asked, level, n, after: newest.n, node: handle, callMs, returnMs })
  }
}
