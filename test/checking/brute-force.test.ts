/** The checker against every order that there is, on thousands of small histories. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SeededRandom } from '../simulated/random.ts'
import { checkLinearizable, type Model, type Operation } from './linearizability.ts'
import {
  type Answer,
  appendList,
  bank,
  counter,
  growingSet,
  register,
  type TransactionInput,
  type TransactionStep,
  transactions,
} from './models.ts'

const LIMITS = { stepsMax: 1_000_000 }

/** The most operations of known outcome that any order of them explains, or all if one has all. */
function countExplained<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): number {
  let most = 0
  const tryAll = (left: readonly Operation<Input, Output>[], states: readonly State[]): void => {
    if (states.length === 0) return
    const wanted = left.filter(({ output }) => output !== null)
    const known = operations.filter(({ output }) => output !== null)
    most = Math.max(most, known.length - wanted.length)
    for (const next of left) {
      if (wanted.some(({ returnMs }) => returnMs < next.callMs)) continue
      tryAll(
        left.filter((other) => other !== next),
        states.flatMap((state) => model.step(state, next.input, next.output)),
      )
    }
  }
  tryAll(operations, [model.initial()])
  return most
}

interface Kind<State, Input, Output> {
  readonly model: Model<State, Input, Output>
  readonly draw: (random: SeededRandom, id: number) => { input: Input; output: Output }
}

const done = (isDone: boolean): { isDone: boolean } => ({ isDone })

const registerKind: Kind<never, never, never> = {
  model: register,
  draw(random) {
    const [from, to] = [random.below(2), random.below(2)]
    const key = random.chance(0.8) ? 'x' : 'y'
    return random.pick([
      { input: { kind: 'write', key, value: to }, output: done(true) },
      { input: { kind: 'read', key }, output: { seen: random.pick([0, 1, null]) } },
      { input: { kind: 'swap', key, from, to }, output: done(random.chance(0.5)) },
    ])
  },
} as Kind<unknown, unknown, unknown> as Kind<never, never, never>

const listKind = {
  model: appendList,
  draw(random: SeededRandom, id: number) {
    const seen = random.pick([[], [0], [1], [0, 1], [1, 0], [id]])
    return random.pick([
      { input: { kind: 'append', key: 'x', value: id % 3 }, output: done(true) },
      { input: { kind: 'read', key: 'x' }, output: { seen } },
    ])
  },
}

const setKind = {
  model: growingSet,
  draw(random: SeededRandom, id: number) {
    const seen = random.pick([[], [0], [1], [0, 1], [2, 0]])
    return random.pick([
      { input: { kind: 'add', key: 'x', value: id % 3 }, output: done(true) },
      { input: { kind: 'read', key: 'x' }, output: { seen } },
    ])
  },
}

const counterKind = {
  model: counter,
  draw: (random: SeededRandom) =>
    random.pick([
      { input: { kind: 'add', amount: random.below(3) }, output: done(true) },
      { input: { kind: 'read' }, output: { seen: random.below(4) } },
    ]),
}

const bankKind = {
  model: bank([1, 1]),
  draw: (random: SeededRandom) =>
    random.pick([
      {
        input: { kind: 'transfer', from: random.below(2), to: random.below(2), amount: 1 },
        output: done(random.chance(0.8)),
      },
      {
        input: { kind: 'read' },
        output: {
          seen: random.pick([
            [1, 1],
            [2, 0],
            [0, 2],
            [1, 0],
          ]),
        },
      },
    ]),
}

const transactionKind = {
  model: transactions,
  draw(random: SeededRandom): { input: TransactionInput; output: Answer<never> } {
    const steps = Array.from({ length: random.between(1, 3) }, (): TransactionStep => {
      const key = random.pick(['x', 'y'])
      if (random.chance(0.5)) return { kind: 'read', key, value: random.pick([null, null, 1]) }
      return { kind: 'write', key, value: random.below(2) }
    })
    return { input: { steps }, output: done(true) }
  },
}

/** A write may be lost, or done with its neighbour's value: several states after one operation. */
const forgetful: Model<number, number, { readonly seen: number } | 'done'> = {
  name: 'forgetful register',
  initial: () => 0,
  step: (state, value, output) => {
    if (output === null || output === 'done') return [state, value, 3 - state]
    return output.seen === state ? [state] : []
  },
  hash: String,
}

const forgetfulKind = {
  model: forgetful,
  draw: (random: SeededRandom) => ({
    input: random.below(4),
    output: random.pick(['done', { seen: random.below(4) }, { seen: random.below(4) }] as const),
  }),
}

/** Numbers that are given once each, in order: what has been given can't be given again. */
const tickets: Model<number, 'take', number> = {
  name: 'tickets',
  initial: () => 0,
  step: (state, _input, output) => (output === null || output === state + 1 ? [state + 1] : []),
  hash: String,
  mayFollow: (state, _input, output) => output > state,
}

const ticketKind = {
  model: tickets,
  draw: (random: SeededRandom) => ({ input: 'take' as const, output: random.between(1, 4) }),
}

const KINDS = {
  registers: registerKind,
  lists: listKind,
  sets: setKind,
  counters: counterKind,
  banks: bankKind,
  transactions: transactionKind,
  tickets: ticketKind,
  'models with a choice': forgetfulKind,
}

function drawHistory<State, Input, Output>(
  { draw }: Kind<State, Input, Output>,
  random: SeededRandom,
): readonly Operation<Input, Output>[] {
  const count = random.between(2, 6)
  const spread = random.pick([4, 8, 16])
  return Array.from({ length: count }, (_, client) => {
    const callMs = random.below(spread)
    const operation = { client, ...draw(random, client), callMs }
    if (random.chance(0.2)) return { ...operation, output: null, returnMs: Infinity }
    return { ...operation, returnMs: callMs + random.below(6) }
  })
}

describe('the checker says what all orders say', () => {
  for (const [name, kind] of Object.entries(KINDS)) {
    it(`of ${name}`, () => {
      const random = new SeededRandom(`brute force of ${name}`)
      const verdicts = { linearizable: 0, violated: 0, undecided: 0 }
      for (let round = 0; round < 500; round += 1) {
        const { model } = kind as Kind<unknown, unknown, unknown>
        const history = drawHistory(kind as Kind<unknown, unknown, unknown>, random)
        const { verdict, partition, culprit } = checkLinearizable(model, history, LIMITS)
        const text = `${round}: ${JSON.stringify(history)} is ${verdict}`
        verdicts[verdict] += 1
        const parts = Map.groupBy(history, ({ input }) => model.partition?.(input))
        const isExplained = [...parts.values()].every((part) => {
          const known = part.filter(({ output }) => output !== null)
          return countExplained(model, part) === known.length
        })
        assert.equal(verdict, isExplained ? 'linearizable' : 'violated', text)
        if (culprit === undefined) continue
        const known = culprit.prefix.filter(({ output }) => output !== null)
        assert.equal(known.length, countExplained(model, parts.get(partition) ?? []), text)
        assert.ok(culprit.stuck.length > 0, text)
      }
      assert.ok(verdicts.linearizable > 50 && verdicts.violated > 50, JSON.stringify(verdicts))
    })
  }
})
