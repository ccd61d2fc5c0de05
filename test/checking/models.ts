/** What histories are held against: small things of which everybody knows how they behave. */
import type { Model } from './operation.ts'

export type Scalar = number | string | null

export type RegisterInput =
  | { readonly kind: 'read'; readonly key: string }
  | { readonly kind: 'write'; readonly key: string; readonly value: Scalar }
  | { readonly kind: 'swap'; readonly key: string; readonly from: Scalar; readonly to: Scalar }

/** Of a read what it saw, of all else whether it was done. */
export type Answer<Seen> = { readonly seen: Seen } | { readonly isDone: boolean }

/** One value per key, which begins as null: read, written, or compared and set. */
export const register: Model<Scalar, RegisterInput, Answer<Scalar>> = {
  name: 'register',
  initial: () => null,
  step(state, input, output) {
    switch (input.kind) {
      case 'read':
        return output === null || seenOf(output) === state ? [state] : []
      case 'write':
        return [input.value]
      case 'swap': {
        const isDone = state === input.from
        if (output !== null && isDone !== wasDone(output)) return []
        return [isDone ? input.to : state]
      }
    }
  },
  hash: (state) => JSON.stringify(state),
  isReadOnly: ({ kind }, output) =>
    kind === 'read' || (kind === 'swap' && output !== null && !wasDone(output)),
  partition: ({ key }) => key,
  describe(input, output) {
    const answer = output === null ? '' : ` → ${JSON.stringify(Object.values(output)[0])}`
    if (input.kind === 'read') return `read ${input.key}${answer}`
    if (input.kind === 'write') return `write ${input.key} = ${JSON.stringify(input.value)}`
    const [from, to] = [input.from, input.to].map((value) => JSON.stringify(value))
    return `swap ${input.key} from ${from} to ${to}${answer}`
  },
}

export type ListInput =
  | { readonly kind: 'append'; readonly key: string; readonly value: number }
  | { readonly kind: 'read'; readonly key: string }

/** A list per key, appended to and read as a whole. */
export const appendList: Model<readonly number[], ListInput, Answer<readonly number[]>> = {
  name: 'append list',
  initial: () => [],
  step(state, input, output) {
    if (input.kind === 'append') return [[...state, input.value]]
    return output === null || isSame(seenOf(output), state) ? [state] : []
  },
  hash: (state) => state.join(','),
  isReadOnly: ({ kind }) => kind === 'read',
  mayFollow(state, _input, output) {
    const seen = seenOf(output)
    return seen === undefined || state.every((value, at) => value === seen[at])
  },
  partition: ({ key }) => key,
  describe: (input, output) =>
    input.kind === 'append' ? `append ${input.value} to ${input.key}` : `read ${show(output)}`,
}

export type SetInput =
  | { readonly kind: 'add'; readonly key: string; readonly value: number }
  | { readonly kind: 'read'; readonly key: string }

/** A set per key, added to and read as a whole. States and answers are sorted. */
export const growingSet: Model<readonly number[], SetInput, Answer<readonly number[]>> = {
  name: 'set',
  initial: () => [],
  step(state, input, output) {
    if (input.kind === 'add') {
      return [state.includes(input.value) ? state : sorted([...state, input.value])]
    }
    return output === null || isSame(sorted(seenOf(output) ?? []), state) ? [state] : []
  },
  hash: (state) => state.join(','),
  isReadOnly: ({ kind }) => kind === 'read',
  mayFollow(state, _input, output) {
    const seen = seenOf(output)
    return seen === undefined || state.every((value) => seen.includes(value))
  },
  partition: ({ key }) => key,
  describe: (input, output) =>
    input.kind === 'add' ? `add ${input.value} to ${input.key}` : `read ${show(output)}`,
}

export type CounterInput = { readonly kind: 'add'; readonly amount: number } | { kind: 'read' }

/** It only grows: no amount is negative. */
export const counter: Model<number, CounterInput, Answer<number>> = {
  name: 'counter',
  initial: () => 0,
  step(state, input, output) {
    if (input.kind === 'add') {
      if (input.amount < 0) throw new RangeError(`${input.amount} is added to what only grows`)
      return [state + input.amount]
    }
    return output === null || seenOf(output) === state ? [state] : []
  },
  hash: String,
  isReadOnly: ({ kind }) => kind === 'read',
  mayFollow: (state, _input, output) => state <= (seenOf(output) ?? Infinity),
  describe: (input, output) => (input.kind === 'add' ? `add ${input.amount}` : show(output)),
}

export type BankInput =
  | { readonly kind: 'read' }
  | {
      readonly kind: 'transfer'
      readonly from: number
      readonly to: number
      readonly amount: number
    }

/** Accounts that transfers go between: none is ever below 0, so their sum stays. */
export function bank(
  balances: readonly number[],
): Model<readonly number[], BankInput, Answer<readonly number[]>> {
  return {
    name: 'bank',
    initial: () => balances,
    step(state, input, output) {
      if (input.kind === 'read') {
        return output === null || isSame(seenOf(output), state) ? [state] : []
      }
      const { from, to, amount } = input
      const isDone = (state[from] ?? 0) >= amount
      if (output !== null && isDone !== wasDone(output)) return []
      if (!isDone) return [state]
      const after = [...state]
      after[from] = (after[from] as number) - amount
      after[to] = (after[to] as number) + amount
      return [after]
    },
    hash: (state) => state.join(','),
    isReadOnly: ({ kind }, output) => kind === 'read' || (output !== null && !wasDone(output)),
    mayFollow(state, _input, output) {
      const seen = seenOf(output)
      return seen === undefined || (sumOf(seen) === sumOf(state) && seen.every((one) => one >= 0))
    },
    describe(input, output) {
      if (input.kind === 'read') return `read ${show(output)}`
      const answer = output === null ? '' : ` → ${Object.values(output)[0]}`
      return `transfer ${input.amount} from ${input.from} to ${input.to}${answer}`
    },
  }
}

/** One read or write of an interactive transaction; a key that was never written is null. */
export type TransactionStep =
  | { readonly kind: 'read'; readonly key: string; readonly value: Scalar }
  | { readonly kind: 'write'; readonly key: string; readonly value: Scalar }

export interface TransactionInput {
  /** As they were done, with what each read saw: also where the outcome is unknown. */
  readonly steps: readonly TransactionStep[]
}

type Cells = Readonly<Record<string, Scalar>>

/** Keys that whole transactions read and write: each as if nothing else ran meanwhile. */
export const transactions: Model<Cells, TransactionInput, Answer<never>> = {
  name: 'transactions',
  initial: () => ({}),
  step(state, { steps }) {
    const after: Record<string, Scalar> = { ...state }
    for (const { kind, key, value } of steps) {
      if (kind === 'write') after[key] = value
      else if ((after[key] ?? null) !== value) return []
    }
    return [after]
  },
  hash(state) {
    const cells = Object.entries(state).filter(([, value]) => value !== null)
    return JSON.stringify(cells.sort(([a], [b]) => (a < b ? -1 : 1)))
  },
  isReadOnly: ({ steps }) => steps.every(({ kind }) => kind === 'read'),
  describe: ({ steps }) =>
    steps.map(({ kind, key, value }) => `${kind} ${key} = ${JSON.stringify(value)}`).join(', '),
}

function seenOf<Seen>(output: Answer<Seen>): Seen | undefined {
  return 'seen' in output ? output.seen : undefined
}

function wasDone(output: Answer<unknown>): boolean {
  return 'isDone' in output && output.isDone
}

function isSame(a: readonly number[] | undefined, b: readonly number[]): boolean {
  return a !== undefined && a.length === b.length && a.every((value, at) => value === b[at])
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0)
}

function sorted(values: readonly number[]): readonly number[] {
  return values.toSorted((a, b) => a - b)
}

function show(output: object | null): string {
  return output === null ? '' : JSON.stringify(Object.values(output)[0])
}
