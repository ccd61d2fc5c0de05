/**
 * Histories as they are made, kept and handed over. A recorder takes down what clients did; as
 * lines of JSON it goes from process to process, also from one that was killed in the middle.
 */
import type { Operation } from './operation.ts'

/** How an operation ended; without an end it is open, so nobody knows whether it happened. */
type Line<Input, Output> =
  | { readonly call: number; readonly client: number; readonly atMs: number; readonly input: Input }
  | { readonly done: number; readonly atMs: number; readonly output: Output }
  | { readonly amended: number; readonly input: Input }
  /** It is known that it did not happen. */
  | { readonly failed: number }

export interface RecorderOptions {
  /** A clock that all who record one history share, and that never goes back. */
  readonly nowMs: () => number
  /** What does not fit is refused, not forgotten: a history with holes proves nothing. */
  readonly operationsMax: number
  /** Gets each line as it is made, without its end. */
  readonly write?: ((line: string) => void) | undefined
}

/**
 * Takes down operations as they are called and as they end. No two of its times are the same, and
 * they are in the order in which it was told: so what one client does one after the other is so in
 * the history too, however coarse the clock.
 */
export class HistoryRecorder<Input, Output> {
  readonly #options: RecorderOptions
  readonly #history = new History<Input, Output>()
  #lastMs = -Infinity
  #count = 0

  constructor(options: RecorderOptions) {
    this.#options = options
  }

  /** Whether nothing more is taken down. To be asked before a call is made. */
  get isFull(): boolean {
    return this.#count >= this.#options.operationsMax
  }

  get count(): number {
    return this.#count
  }

  /** To be told before the operation begins. Returns what it is called when it ends. */
  called(client: number, input: Input): number {
    if (this.isFull) {
      throw new RangeError(`the history is full at ${this.#options.operationsMax} operations`)
    }
    this.#count += 1
    this.#take({ call: this.#count, client, atMs: this.#now(), input })
    return this.#count
  }

  /**
   * What an operation turned out to be while it ran, as a transaction does that writes what follows
   * from its reads. To be told before it can take effect.
   */
  amended(call: number, input: Input): void {
    this.#take({ amended: call, input })
  }

  /** To be told once the answer is there. */
  done(call: number, output: Output): void {
    this.#take({ done: call, atMs: this.#now(), output })
  }

  /**
   * It is known that it did not happen: it is left out. Of what may have happened nothing is told,
   * and its client is one that does nothing any more.
   */
  failed(call: number): void {
    this.#take({ failed: call })
  }

  get operations(): readonly Operation<Input, Output>[] {
    return this.#history.operations
  }

  #take(line: Line<Input, Output>): void {
    this.#history.take(line)
    this.#options.write?.(JSON.stringify(line))
  }

  #now(): number {
    const nowMs = this.#options.nowMs()
    this.#lastMs = nowMs > this.#lastMs ? nowMs : nextAfter(this.#lastMs)
    return this.#lastMs
  }
}

class History<Input, Output> {
  readonly #operations = new Map<number, Operation<Input, Output>>()

  take(line: Line<Input, Output>): void {
    if ('call' in line) {
      const { call, client, atMs, input } = line
      if (this.#operations.has(call)) throw new Error(`operation ${call} was called twice`)
      this.#operations.set(call, { client, input, output: null, callMs: atMs, returnMs: Infinity })
    } else if ('done' in line) {
      const { done, atMs, output } = line
      const operation = this.#open(done)
      this.#operations.set(done, { ...operation, output, returnMs: atMs })
    } else if ('amended' in line) {
      const { amended, input } = line
      this.#operations.set(amended, { ...this.#open(amended), input })
    } else {
      this.#open(line.failed)
      this.#operations.delete(line.failed)
    }
  }

  get operations(): readonly Operation<Input, Output>[] {
    return [...this.#operations.values()]
  }

  #open(call: number): Operation<Input, Output> {
    const operation = this.#operations.get(call)
    if (operation === undefined || operation.returnMs !== Infinity) {
      throw new Error(`operation ${call} ended twice, or never began`)
    }
    return operation
  }
}

/**
 * The history that one recorder wrote. Of a process that was killed the last line may be cut off:
 * that one is as if it had not been written.
 */
export function readHistory<Input, Output>(text: string): readonly Operation<Input, Output>[] {
  const history = new History<Input, Output>()
  const lines = text.split('\n')
  // Behind the end of the last whole line.
  lines.pop()
  for (const [at, line] of lines.entries()) {
    try {
      history.take(JSON.parse(line) as Line<Input, Output>)
    } catch (error) {
      throw new Error(`line ${at + 1} of a history can't be read: ${line}`, { cause: error })
    }
  }
  return history.operations
}

/** The smallest number above one. */
function nextAfter(value: number): number {
  const cells = new DataView(new ArrayBuffer(8))
  cells.setFloat64(0, value)
  if (value === 0) return Number.MIN_VALUE
  cells.setBigInt64(0, cells.getBigInt64(0) + (value > 0 ? 1n : -1n))
  return cells.getFloat64(0)
}
