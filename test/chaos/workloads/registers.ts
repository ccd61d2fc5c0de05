import { checkLinearizable } from '../../checking/linearizability.ts'
import { type Answer, type RegisterInput, register, type Scalar } from '../../checking/models.ts'
import type { Operation } from '../../checking/operation.ts'
import type { Client } from '../client.ts'
import { type Books, isDone, type Window, Windows, type Workload } from './workload.ts'

type Item = Operation<RegisterInput, Answer<Scalar>>

/** Few enough that writes of which nobody knows whether they came leave no endless search. */
const ITEMS_MAX = 60
const STEPS_MAX = 4_000_000
const VALUES_KEPT = 4

/** Values that are read, written, and compared and set: each key's history must be linearizable. */
export class Registers implements Workload {
  readonly name: string = 'registers'
  readonly clients: number = 4
  readonly schema: readonly string[] = [
    'CREATE TABLE registers (key INTEGER PRIMARY KEY, value INTEGER NOT NULL)',
  ]
  readonly #books: Books
  readonly #stepsMax: number
  readonly #windows: Windows<Item>
  /** What was written last, for a swap that has a chance. */
  readonly #recent: number[] = []
  #value = 0

  constructor(books: Books, stepsMax: number = STEPS_MAX) {
    this.#books = books
    this.#stepsMax = stepsMax
    this.#windows = new Windows(ITEMS_MAX, (window) => this.#judge(window))
  }

  async step(client: Client): Promise<void> {
    const window = this.#windows.enter()
    await this.#do(client, window)
    this.#windows.leave(window)
  }

  finish(): void {
    this.#windows.finish()
  }

  async #do(client: Client, { key, items }: Window<Item>): Promise<void> {
    const seat = client.pick()
    if (seat === null) return
    const input = this.#next(client, String(key))
    const answer = await (input.kind === 'read'
      ? client.call(seat, 'execute', 'SELECT value FROM registers WHERE key = ?', [key], {
          consistency: 'strong',
        })
      : input.kind === 'write'
        ? client.call(
            seat,
            'execute',
            'INSERT INTO registers VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
            [key, input.value],
          )
        : client.call(
            seat,
            'execute',
            'UPDATE registers SET value = ? WHERE key = ? AND value = ?',
            [input.to, key, input.from],
          ))
    const { callMs, fate, value } = answer
    let output: Answer<Scalar> | null = null
    if (value !== null && input.kind === 'read') {
      output = { seen: value.rows.length === 0 ? null : Number(value.rows[0]?.['value']) }
    } else if (value !== null) {
      output = { isDone: value.rowsAffected === 1 }
    }
    this.#books.record.note(this.name, input.kind, client.number, answer, input, output)
    // Of one that was refused it is known that it did not happen; an unanswered read saw nothing.
    if (fate === 'not-applied' || (input.kind === 'read' && output === null)) return
    const returnMs = output === null ? Number.POSITIVE_INFINITY : answer.returnMs
    items.push({ client: client.number, input, output, callMs, returnMs })
    if (isDone(fate) && input.kind === 'write') this.#keep(input.value as number)
  }

  /** Every value is another one, so that what is read tells which write it saw. */
  #next(client: Client, key: string): RegisterInput {
    const kind = client.random.below(5)
    if (kind < 2) return { kind: 'read', key }
    this.#value += 1
    if (kind === 2 || this.#recent.length === 0) return { kind: 'write', key, value: this.#value }
    return { kind: 'swap', key, from: client.random.pick(this.#recent), to: this.#value }
  }

  #keep(value: number): void {
    this.#recent.push(value)
    if (this.#recent.length > VALUES_KEPT) this.#recent.shift()
  }

  #judge({ key, items }: Window<Item>): void {
    const stepsMax = this.#stepsMax
    const { verdict: found, culprit } = checkLinearizable(register, items, { stepsMax })
    if (found === 'undecided') {
      const text = `register ${key}: ${items.length} operations, not judged in ${stepsMax} steps`
      this.#books.verdict.add('undecided', text)
    }
    if (found !== 'violated') return
    this.#books.verdict.add('broken', `register ${key}: ${culprit?.text}`)
  }
}
