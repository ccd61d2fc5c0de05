/** What stays of cases that are over: nothing may. */
import assert from 'node:assert/strict'
import { getHeapStatistics } from 'node:v8'

export function heldBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

export interface HeldMemoryOptions {
  /** It takes far longer to look than a case does. */
  readonly everyCases: number
  /** From the first look on, before which much is compiled; however many cases come after it. */
  readonly grownBytesMax: number
}

/** Of this thread alone: what its objects are and what hangs on them, without garbage. */
export class HeldMemory {
  readonly #options: HeldMemoryOptions
  #cases = 0
  #beganBytes: number | null = null

  constructor(options: HeldMemoryOptions) {
    this.#options = options
  }

  /** At the end of each case. */
  check(): void {
    const { everyCases, grownBytesMax } = this.#options
    this.#cases += 1
    if (this.#cases % everyCases !== 0) return
    assert.ok(globalThis.gc, 'cases run with --expose-gc')
    // The second one waits until buffers that the first found to be garbage are gone.
    globalThis.gc()
    globalThis.gc()
    this.#beganBytes ??= heldBytes()
    const grownBytes = heldBytes() - this.#beganBytes
    const cases = this.#cases - everyCases
    assert.ok(
      grownBytes <= grownBytesMax,
      `${grownBytes} bytes stay of ${cases} cases together; one alone does not show it`,
    )
  }
}
