import type { Statement } from '../../src/command/command.ts'
import { HistoryRecorder } from '../checking/history.ts'
import { checkLinearizable } from '../checking/linearizability.ts'
import {
  type Answer,
  type RegisterInput,
  register,
  type Scalar,
  type TransactionInput,
  transactions,
} from '../checking/models.ts'
import type { Cluster } from './cluster.ts'
import type { SimulatedProcess } from './process.ts'
import type { SeededRandom } from './random.ts'
import type { Outcome } from './user.ts'

const DATABASE = 'main'
const KEYS = ['r0', 'r1', 'r2', 'r3', 'r4', 'r5']
const CELLS = ['a', 'b', 'c']
const OPERATIONS_MAX = 100_000
const STEPS_MAX = 50_000

/**
 * Clients that read what others wrote, and whose answers must fit into one order: of registers, one
 * by one, and of transactions over a few cells. Each call is a client of its own.
 */
export class Clients {
  readonly #cluster: Cluster
  readonly #registers: HistoryRecorder<RegisterInput, Answer<Scalar>>
  readonly #newest = new Map<string, number>()
  readonly #transactions: HistoryRecorder<TransactionInput, Answer<never>>

  constructor(cluster: Cluster) {
    this.#cluster = cluster
    const { timeline } = cluster
    const options = { nowMs: () => timeline.nowMs, operationsMax: OPERATIONS_MAX }
    this.#registers = new HistoryRecorder(options)
    this.#transactions = new HistoryRecorder(options)
  }

  get calls(): number {
    return this.#registers.count + this.#transactions.count
  }

  /** One operation on one register. */
  callRegister(process: SimulatedProcess, random: SeededRandom, number: number): void {
    const key = random.pick(KEYS)
    const kind = random.pick(['read', 'read', 'write', 'swap'] as const)
    // What somebody wrote there, perhaps the last: else nothing would ever be swapped.
    const [from, to] = [this.#newest.get(key) ?? 0, number]
    if (kind !== 'read') this.#newest.set(key, to)
    if (kind === 'read') this.#read(process, key, number)
    else if (kind === 'write') {
      const sql = 'INSERT OR REPLACE INTO registers (key, value) VALUES (?, ?)'
      this.#change(process, number, { kind, key, value: to }, { sql, args: [key, BigInt(to)] })
    } else {
      const sql = 'UPDATE registers SET value = ? WHERE key = ? AND value = ?'
      const args = [BigInt(to), key, BigInt(from)]
      this.#change(process, number, { kind, key, from, to }, { sql, args })
    }
  }

  /** Reads one cell and writes one more than that into another one. */
  callTransaction(process: SimulatedProcess, random: SeededRandom, number: number): void {
    const from = random.pick(CELLS)
    const to = random.pick(CELLS)
    const seenIn = (rows: readonly (readonly unknown[])[]): number | null => {
      const value = rows[0]?.[0]
      return value === undefined || value === null ? null : Number(value)
    }
    const inputOf = (value: number | null): TransactionInput => ({
      steps: [
        { kind: 'read', key: from, value },
        { kind: 'write', key: to, value: (value ?? 0) + 1 },
      ],
    })
    let call: number | null = null
    const plan = {
      database: DATABASE,
      look: { sql: 'SELECT value FROM cells WHERE key = ?', args: [from] },
      write: (rows: readonly (readonly unknown[])[]): Statement[] => {
        const sql = 'INSERT OR REPLACE INTO cells (key, value) VALUES (?, ?)'
        return [{ sql, args: [to, BigInt((seenIn(rows) ?? 0) + 1)] }]
      },
    }
    const began = (rows: readonly (readonly unknown[])[]): void => {
      call = this.#transactions.called(number, inputOf(seenIn(rows)))
    }
    process.transact(plan, began, (outcome) => {
      if (call === null) return
      if (!wasApplied(outcome)) this.#transactions.failed(call)
      else {
        this.#transactions.done(call, { isDone: true })
        this.#cluster.invariants.reach('a transaction was committed')
      }
    })
  }

  /** What the histories say of the store; `null` if nothing is wrong with them. */
  judge(): string | null {
    const single = checkLinearizable(register, this.#registers.operations, { stepsMax: STEPS_MAX })
    const whole = checkLinearizable(transactions, this.#transactions.operations, {
      stepsMax: STEPS_MAX,
    })
    for (const { verdict, culprit } of [single, whole]) {
      if (verdict === 'violated') return culprit?.text ?? verdict
      if (verdict === 'undecided') this.#cluster.invariants.reach('a history was too hard to judge')
    }
    return null
  }

  #read(process: SimulatedProcess, key: string, number: number): void {
    const call = this.#registers.called(number, { kind: 'read', key })
    const isAsked = process.readValue(
      DATABASE,
      { sql: 'SELECT value FROM registers WHERE key = ?', args: [key] },
      (value) => this.#registers.done(call, { seen: value === null ? null : Number(value) }),
    )
    if (!isAsked) this.#registers.failed(call)
  }

  #change(
    process: SimulatedProcess,
    number: number,
    input: RegisterInput,
    statement: Statement,
  ): void {
    const call = this.#registers.called(number, input)
    const isAsked = process.write(DATABASE, [statement], (outcome) => {
      if (!wasApplied(outcome)) this.#registers.failed(call)
      else {
        const [result] = outcome.unit.ok ? outcome.unit.statements : []
        this.#registers.done(call, { isDone: (result?.rowsAffected ?? 0) > 0 })
      }
    })
    if (!isAsked) this.#registers.failed(call)
  }
}

/** What clients find when they come. */
export const CLIENTS_SCHEMA: readonly Statement[] = [
  { sql: 'CREATE TABLE registers (key TEXT PRIMARY KEY, value INTEGER)', args: [] },
  { sql: 'CREATE TABLE cells (key TEXT PRIMARY KEY, value INTEGER)', args: [] },
]

function wasApplied(outcome: Outcome): outcome is Exclude<Outcome, 'rejected'> {
  return outcome !== 'rejected' && outcome.unit.ok
}
