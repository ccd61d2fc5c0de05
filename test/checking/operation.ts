/** What was done, and what a model says could come of it. */
export interface Operation<Input, Output> {
  /** Whoever made it, one operation after another. */
  readonly client: number
  readonly input: Input
  /**
   * null: nobody knows whether it happened, so it may take effect at any time after its call, or
   * never. One of which it is known that it did not happen is no part of a history.
   */
  readonly output: Output | null
  readonly callMs: number
  /** Infinity while it is open. An operation that is called in this very moment is concurrent. */
  readonly returnMs: number
}

export interface Model<State, Input, Output> {
  readonly name: string
  initial(): State
  /**
   * The states that the operation can lead to with this output (null: with any). None if it can't
   * have that output here. The state that it is given stays as it is.
   */
  step(state: State, input: Input, output: Output | null): readonly State[]
  /** The same text for the same state, and for no other; also what reports print of a state. */
  hash(state: State): string
  /** Whether it changes no state, whichever it finds: then it is never in the way of others. */
  isReadOnly?(input: Input, output: Output | null): boolean
  /**
   * Whether an operation with this output may come at some time after this state, whatever comes in
   * between: a list that only grows is never read without what is in it. Saves much of the search.
   */
  mayFollow?(state: State, input: Input, output: Output): boolean
  /** Operations of different partitions have nothing to do with each other. */
  partition?(input: Input): string
  /** For reports; JSON without it. */
  describe?(input: Input, output: Output | null): string
}
