import type { BackupObject, Objects, PutCall, TargetCall } from './objects.ts'
import { passing } from './streams.ts'

/** A target whose calls are counted, as one that hangs says nothing by itself. */
export class CountedCalls implements Objects {
  readonly #target: Objects
  underWayCount = 0
  /** Of all that it did: calls that ended, pieces that came or went. */
  doneCount = 0

  constructor(target: Objects) {
    this.#target = target
  }

  get label(): string {
    return this.#target.label
  }

  list(prefix: string, call?: TargetCall): AsyncIterable<BackupObject> {
    return this.#countEach(this.#target.list(prefix, call))
  }

  get(name: string, call?: TargetCall): AsyncIterable<Uint8Array> {
    return this.#countEach(this.#target.get(name, call))
  }

  put(
    name: string,
    content: Uint8Array | AsyncIterable<Uint8Array>,
    call?: PutCall,
  ): Promise<boolean> {
    const seen = content instanceof Uint8Array ? content : passing(content, () => this.#count())
    return this.#countOne(() => this.#target.put(name, seen, call))
  }

  delete(name: string, call?: TargetCall): Promise<void> {
    return this.#countOne(() => this.#target.delete(name, call))
  }

  #count(): void {
    this.doneCount += 1
  }

  async #countOne<T>(call: () => Promise<T>): Promise<T> {
    this.underWayCount += 1
    try {
      return await call()
    } finally {
      this.underWayCount -= 1
      this.#count()
    }
  }

  async *#countEach<T>(source: AsyncIterable<T>): AsyncIterable<T> {
    const iterator = source[Symbol.asyncIterator]()
    try {
      for (;;) {
        const { done, value } = await this.#countOne(() => iterator.next())
        if (done === true) return
        yield value
      }
    } finally {
      await iterator.return?.()
    }
  }
}
