/** Clients whose answers fit into no order are noticed: the store here is a forged one. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Statement, StatementResult, UnitResult } from '../../src/command/command.ts'
import { Clients } from './clients.ts'
import type { Cluster } from './cluster.ts'
import type { SimulatedProcess } from './process.ts'
import { SeededRandom } from './random.ts'
import { Timeline } from './timeline.ts'
import type { Outcome, TransactionPlan } from './user.ts'

const CALLS = 60

/** One copy of all values, which answers at once, and forgets what `isLost` says. */
class FakeStore {
  readonly #values = new Map<string, number>()
  readonly #isLost: () => boolean
  #index = 0

  constructor(isLost: () => boolean) {
    this.#isLost = isLost
  }

  get process(): SimulatedProcess {
    const write: SimulatedProcess['write'] = (_database, [statement], settled) => {
      const [a, b, c] = argsOf(statement)
      if (c === undefined) settled(this.#set(String(a), Number(b)))
      else if (this.#values.get(String(b)) !== Number(c)) settled(this.#outcome(0))
      else settled(this.#set(String(b), Number(a)))
      return true
    }
    const readValue: SimulatedProcess['readValue'] = (_database, { args }, done) => {
      done(this.#values.get(String(args[0])) ?? null)
      return true
    }
    const transact: SimulatedProcess['transact'] = (
      { look, write: plan }: TransactionPlan,
      began,
      settled,
    ) => {
      const [key] = look.args as readonly string[]
      const value = this.#values.get(String(key))
      const rows = value === undefined ? [] : [[value]]
      const [statement] = plan(rows)
      began(rows)
      const [to, next] = argsOf(statement)
      settled(this.#set(String(to), Number(next)))
    }
    return { write, readValue, transact } as unknown as SimulatedProcess
  }

  #set(key: string, value: number): Outcome {
    if (!this.#isLost()) this.#values.set(key, value)
    return this.#outcome(1)
  }

  #outcome(rowsAffected: number): Outcome {
    this.#index += 1
    const result = { rowsAffected } as StatementResult
    const unit: UnitResult = { ok: true, statements: [result] }
    return { index: this.#index, unit }
  }
}

function argsOf(statement: Statement | undefined): readonly (string | bigint)[] {
  return (statement?.args ?? []) as readonly (string | bigint)[]
}

function judge(
  kind: 'callRegister' | 'callTransaction',
  isLost: (call: number) => boolean,
): string | null {
  const timeline = new Timeline()
  let call = 0
  const store = new FakeStore(() => isLost(call))
  const cluster = { timeline, invariants: { reach: () => {} } } as unknown as Cluster
  const clients = new Clients(cluster)
  const random = new SeededRandom(1)
  for (call = 1; call <= CALLS; call += 1) {
    timeline.plan(1, () => clients[kind](store.process, random, call))
    timeline.step()
  }
  assert.ok(clients.calls >= CALLS)
  return clients.judge()
}

describe('clients', () => {
  it('of a store that is right find nothing', () => {
    assert.equal(
      judge('callRegister', () => false),
      null,
    )
    assert.equal(
      judge('callTransaction', () => false),
      null,
    )
  })

  it('find a write to a register that is lost', () => {
    assert.match(judge('callRegister', (call) => call % 7 === 0) ?? '', /no order explains/)
  })

  it('find a transaction that is lost', () => {
    assert.match(judge('callTransaction', (call) => call % 7 === 0) ?? '', /no order explains/)
  })
})
