import type { Model, Operation } from './operation.ts'

export interface SearchOptions {
  readonly stepsMax: number
  readonly memoryCharactersMax: number
}

/** The furthest that a search came. */
export interface Longest<State, Input, Output> {
  readonly order: readonly Operation<Input, Output>[]
  readonly states: readonly State[]
  readonly stuck: readonly Operation<Input, Output>[]
}

/** All that a model can be in after an order; more than one only where it leaves a choice. */
interface States<State> {
  readonly all: readonly State[]
  readonly key: string
}

/** What could come next from one point of the search: tried from the last one to the first. */
interface Frame<State> {
  readonly states: States<State>
  readonly next: { readonly id: number; readonly states: States<State> }[]
  /** The operation that led here, null for the first. */
  readonly by: number | null
}

/** So many states at once are no model of anything: the search gives up. */
const STATES_MAX = 1_024
const BITS = 15
/** Of the operations that must still come, so many of the next ones are asked whether they may. */
const AHEAD_MAX = 16

/**
 * The search for an order of one partition's operations. Operations are numbered: first those that
 * must be in the order, by their calls, then those of which nobody knows whether they happened, by
 * their calls. An order is found once it has all of the first kind.
 */
export class Search<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #operations: readonly Operation<Input, Output>[]
  readonly #requiredCount: number
  readonly #options: SearchOptions
  readonly #isPlaced: Uint8Array
  readonly #seen = new Set<string>()
  #seenCharacters = 0
  /** No required operation before it is left. */
  #base = 0
  #placedRequired = 0
  #isOverdrawn = false
  #longest: Longest<State, Input, Output> | null = null
  #longestPlaced = -1
  steps = 0

  constructor(
    model: Model<State, Input, Output>,
    operations: readonly Operation<Input, Output>[],
    options: SearchOptions,
  ) {
    const sorted = operations.toSorted((a, b) => a.callMs - b.callMs)
    const required = sorted.filter(({ output }) => output !== null)
    this.#model = model
    this.#operations = [...required, ...sorted.filter(({ output }) => output === null)]
    this.#requiredCount = required.length
    this.#options = options
    this.#isPlaced = new Uint8Array(this.#operations.length)
  }

  run(): 'linearizable' | 'violated' | 'undecided' {
    const frames: Frame<State>[] = [this.#enter(null, this.#gather([this.#model.initial()]), [])]
    while (this.#placedRequired < this.#requiredCount) {
      if (this.#isOverdrawn) return 'undecided'
      const frame = frames.at(-1)
      if (frame === undefined) return 'violated'
      const choice = frame.next.pop()
      if (choice === undefined) {
        frames.pop()
        if (frame.by !== null) this.#takeBack(frame.by)
        continue
      }
      this.#place(choice.id)
      if (this.#wasHere(choice.states)) this.#takeBack(choice.id)
      else frames.push(this.#enter(choice.id, choice.states, frames))
    }
    return 'linearizable'
  }

  /** To be asked once the search has ended. */
  get longest(): Longest<State, Input, Output> {
    return this.#longest ?? { order: [], states: [this.#model.initial()], stuck: [] }
  }

  #enter(by: number | null, states: States<State>, before: readonly Frame<State>[]): Frame<State> {
    const { next, stuck } = this.#listNext(states)
    if (this.#placedRequired > this.#longestPlaced && next.length === 0) {
      const ids = [...before.map((frame) => frame.by), by].filter((id) => id !== null)
      this.#longest = {
        order: ids.map((id) => this.#operation(id)),
        states: states.all,
        stuck: stuck.map((id) => this.#operation(id)),
      }
      this.#longestPlaced = this.#placedRequired
    }
    return { states, next, by }
  }

  /**
   * What can come next. A read that fits here is taken at once and alone: every order that has it
   * later is as good with it here. One of unknown outcome that changes nothing is not needed yet.
   */
  #listNext(states: States<State>): { next: Frame<State>['next']; stuck: readonly number[] } {
    const next: Frame<State>['next'] = []
    const stuck: number[] = []
    let returnMs = Infinity
    for (let id = this.#base; id < this.#requiredCount; id += 1) {
      if (this.#isPlaced[id] === 1) continue
      const operation = this.#operation(id)
      if (operation.callMs > returnMs) break
      returnMs = Math.min(returnMs, operation.returnMs)
      const after = this.#step(states, id)
      if (after === null) stuck.push(id)
      else if (after.key === states.key && this.#isReadOnly(operation)) {
        return { next: [{ id, states: after }], stuck: [] }
      } else next.push({ id, states: after })
    }
    // Who returned first is tried first: the order of most histories is near that.
    next.sort((a, b) => this.#operation(b.id).returnMs - this.#operation(a.id).returnMs)
    const unknown: Frame<State>['next'] = []
    for (let id = this.#requiredCount; id < this.#operations.length; id += 1) {
      if (this.#isPlaced[id] === 1) continue
      const operation = this.#operation(id)
      if (operation.callMs > returnMs) break
      const after = this.#step(states, id)
      if (after !== null && after.key !== states.key) unknown.push({ id, states: after })
    }
    return { next: [...unknown, ...next], stuck }
  }

  #isReadOnly({ input, output }: Operation<Input, Output>): boolean {
    return this.#model.isReadOnly?.(input, output) === true
  }

  #step(states: States<State>, id: number): States<State> | null {
    const { input, output } = this.#operation(id)
    let after: State[] = []
    for (const state of states.all) {
      this.steps += 1
      for (const one of this.#model.step(state, input, output)) after.push(one)
    }
    if (this.steps > this.#options.stepsMax) this.#isOverdrawn = true
    if (after.length > 0) after = after.filter((state) => this.#hasFuture(state, id))
    return after.length === 0 ? null : this.#gather(after)
  }

  /** Whether what must still come can come after a state that `by` led to. */
  #hasFuture(state: State, by: number): boolean {
    const model = this.#model
    if (model.mayFollow === undefined) return true
    let left = AHEAD_MAX
    for (let id = this.#base; id < this.#requiredCount && left > 0; id += 1) {
      if (this.#isPlaced[id] === 1 || id === by) continue
      const { input, output } = this.#operation(id)
      if (!model.mayFollow(state, input, output as Output)) return false
      left -= 1
    }
    return true
  }

  #gather(states: readonly State[]): States<State> {
    const byHash = new Map(states.map((state) => [this.#model.hash(state), state]))
    if (byHash.size > STATES_MAX) this.#isOverdrawn = true
    // The lengths keep two hashes from being read as one.
    const hashes = [...byHash.keys()].sort()
    return { all: [...byHash.values()], key: hashes.map((h) => `${h.length}:${h}`).join('') }
  }

  #place(id: number): void {
    this.#isPlaced[id] = 1
    if (id >= this.#requiredCount) return
    this.#placedRequired += 1
    while (this.#isPlaced[this.#base] === 1 && this.#base < this.#requiredCount) this.#base += 1
  }

  #takeBack(id: number): void {
    this.#isPlaced[id] = 0
    if (id >= this.#requiredCount) return
    this.#placedRequired -= 1
    this.#base = Math.min(this.#base, id)
  }

  /** Whether the same operations led to the same states before; what follows is known then. */
  #wasHere(states: States<State>): boolean {
    const key = `${this.#placedKey()} ${states.key}`
    if (this.#seen.has(key)) return true
    if (this.#seenCharacters + key.length <= this.#options.memoryCharactersMax) {
      this.#seen.add(key)
      this.#seenCharacters += key.length
    }
    return false
  }

  /** Which operations are placed: what lies before the base need not be said. */
  #placedKey(): string {
    let key = `${this.#base} `
    let left = this.#placedRequired - this.#base
    const codes: number[] = []
    for (let id = this.#base; left > 0; id += BITS) {
      const word = this.#wordOf(id, this.#requiredCount)
      codes.push(word)
      for (let rest = word; rest !== 0; rest &= rest - 1) left -= 1
    }
    for (let id = this.#requiredCount; id < this.#operations.length; id += BITS) {
      codes.push(this.#wordOf(id, this.#operations.length))
    }
    for (const code of codes) key += String.fromCharCode(code)
    return key
  }

  #wordOf(from: number, end: number): number {
    let word = 0
    for (let bit = 0; bit < BITS && from + bit < end; bit += 1) {
      word |= (this.#isPlaced[from + bit] as number) << bit
    }
    return word
  }

  #operation(id: number): Operation<Input, Output> {
    return this.#operations[id] as Operation<Input, Output>
  }
}
