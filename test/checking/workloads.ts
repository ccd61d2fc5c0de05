/** What clients of a store do, and what an implementation that is right answers them. */
import type { SeededRandom } from '../simulated/random.ts'
import {
  type Answer,
  appendList,
  type BankInput,
  bank,
  type CounterInput,
  counter,
  growingSet,
  type ListInput,
  type RegisterInput,
  register,
  type Scalar,
  type SetInput,
  type TransactionInput,
  type TransactionStep,
  transactions,
} from './models.ts'
import type { Model } from './operation.ts'

export interface Workload<State, Input, Output> {
  readonly model: Model<unknown, Input, Output>
  readonly initial: State
  /** Every read that there is. */
  readonly reads: readonly Input[]
  /** A write; `id` is a number of its own. */
  drawWrite(random: SeededRandom, id: number): Input
  /** Of a transaction: what it does, once it has read what is there. */
  begin?(state: State, input: Input): Input
  run(state: State, input: Input): { readonly state: State; readonly output: Output }
  /** As `run`, but whatever the state is. */
  force?(state: State, input: Input): State
  /** The state when a write is done half. */
  tear?(state: State, input: Input): State
}

const KEYS = ['x', 'y']
const DONE = { isDone: true }

type Registers = Readonly<Record<string, Scalar>>

/** All keys are one state here; the model has one for each. */
export const registers: Workload<Registers, RegisterInput, Answer<Scalar>> = {
  model: register,
  initial: {},
  reads: KEYS.map((key) => ({ kind: 'read', key })),
  drawWrite(random, id) {
    const key = random.pick(KEYS)
    if (random.chance(0.6)) return { kind: 'write', key, value: id % 5 }
    return { kind: 'swap', key, from: random.below(5), to: id % 5 }
  },
  run(state, input) {
    const present = state[input.key] ?? null
    if (input.kind === 'read') return { state, output: { seen: present } }
    if (input.kind === 'swap' && present !== input.from) return { state, output: { isDone: false } }
    return { state: this.force?.(state, input) ?? state, output: DONE }
  },
  force(state, input) {
    if (input.kind === 'read') return state
    return { ...state, [input.key]: input.kind === 'write' ? input.value : input.to }
  },
}

type Lists = Readonly<Record<string, readonly number[]>>

export const lists: Workload<Lists, ListInput, Answer<readonly number[]>> = {
  model: appendList,
  initial: {},
  reads: KEYS.map((key) => ({ kind: 'read', key })),
  drawWrite: (random, id) => ({ kind: 'append', key: random.pick(KEYS), value: id }),
  run(state, input) {
    const present = state[input.key] ?? []
    if (input.kind === 'read') return { state, output: { seen: present } }
    return { state: { ...state, [input.key]: [...present, input.value] }, output: DONE }
  },
}

export const sets: Workload<Lists, SetInput, Answer<readonly number[]>> = {
  model: growingSet,
  initial: {},
  reads: KEYS.map((key) => ({ kind: 'read', key })),
  drawWrite: (random, id) => ({ kind: 'add', key: random.pick(KEYS), value: id }),
  run(state, input) {
    const present = state[input.key] ?? []
    if (input.kind === 'read') return { state, output: { seen: present } }
    if (present.includes(input.value)) return { state, output: DONE }
    const after = [...present, input.value].sort((a, b) => a - b)
    return { state: { ...state, [input.key]: after }, output: DONE }
  },
}

export const counters: Workload<number, CounterInput, Answer<number>> = {
  model: counter,
  initial: 0,
  reads: [{ kind: 'read' }],
  drawWrite: (random) => ({ kind: 'add', amount: random.between(1, 3) }),
  run(state, input) {
    if (input.kind === 'read') return { state, output: { seen: state } }
    return { state: state + input.amount, output: DONE }
  },
}

/** Amounts differ, so that few sets of transfers come to the same. */
const BALANCES = [1_000, 1_000, 1_000]

export const accounts: Workload<readonly number[], BankInput, Answer<readonly number[]>> = {
  model: bank(BALANCES),
  initial: BALANCES,
  reads: [{ kind: 'read' }],
  drawWrite(random) {
    const from = random.below(BALANCES.length)
    const to = (from + random.between(1, BALANCES.length - 1)) % BALANCES.length
    return { kind: 'transfer', from, to, amount: random.between(1, 800) }
  },
  run(state, input) {
    if (input.kind === 'read') return { state, output: { seen: state } }
    if ((state[input.from] as number) < input.amount) return { state, output: { isDone: false } }
    return { state: this.force?.(state, input) ?? state, output: DONE }
  },
  force: (state, input) => transfer(state, input, true),
  tear: (state, input) => transfer(state, input, false),
}

function transfer(state: readonly number[], input: BankInput, isWhole: boolean): readonly number[] {
  if (input.kind === 'read') return state
  const { from, to, amount } = input
  const after = [...state]
  after[from] = (after[from] as number) - amount
  if (isWhole) after[to] = (after[to] as number) + amount
  return after
}

const CELLS = ['a', 'b', 'c']

/** Reads two keys and writes one of them, or reads one key and writes it with another. */
export const interactive: Workload<Registers, TransactionInput, Answer<never>> = {
  model: transactions,
  initial: {},
  reads: [{ steps: CELLS.map((key) => ({ kind: 'read', key, value: null })) }],
  drawWrite(random) {
    const [first, second] = random.pick([CELLS, CELLS.toReversed()]) as [string, string]
    const written = random.chance(0.5) ? [first] : [first, second]
    const read = written.length === 1 ? [first, second] : [first]
    return {
      steps: [
        ...read.map((key) => ({ kind: 'read', key, value: null }) as const),
        ...written.map((key) => ({ kind: 'write', key, value: null }) as const),
      ],
    }
  },
  /** What is written is one more than the sum of what was read. */
  begin(state, { steps }) {
    let sum = 1
    const filled: TransactionStep[] = []
    for (const { kind, key } of steps) {
      const value = kind === 'read' ? (state[key] ?? null) : sum
      if (kind === 'read') sum += Number(value ?? 0)
      filled.push({ kind, key, value })
    }
    return { steps: filled }
  },
  run(state, { steps }) {
    const after: Record<string, Scalar> = { ...state }
    for (const { kind, key, value } of steps) if (kind === 'write') after[key] = value
    return { state: after, output: { isDone: true } as Answer<never> }
  },
  tear(state, { steps }) {
    const first = steps.find(({ kind }) => kind === 'write')
    return first === undefined ? state : { ...state, [first.key]: first.value }
  },
}
