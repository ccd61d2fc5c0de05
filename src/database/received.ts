import { assert } from '../base/assert.ts'
import { release } from '../base/bytes.ts'

/** The bytes of entries up to `lastIndex`, and when the engine learned that they are committed. */
interface Message {
  readonly lastIndex: number
  readonly bytes: Uint8Array
  readonly committedMs: number
}

/** The messages that entries are views of, the oldest first. */
export class Received {
  readonly #messages: Message[] = []

  add(lastIndex: number, bytes: Uint8Array, committedMs: number): void {
    this.#messages.push({ lastIndex, bytes, committedMs })
  }

  /** When the engine learned that an entry is committed. */
  committedMs(index: number): number {
    const message = this.#messages.find(({ lastIndex }) => index <= lastIndex)
    assert(message !== undefined, 'what was applied was received')
    return message.committedMs
  }

  /** What is applied was bound and decoded: nothing reads its bytes any more. */
  releaseUpTo(applied: number): void {
    for (;;) {
      const [first] = this.#messages
      if (first === undefined || first.lastIndex > applied) return
      this.#messages.shift()
      release(first.bytes)
    }
  }
}
