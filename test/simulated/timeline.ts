import type { Cancel } from '../../src/base/ports.ts'
import { Trace } from './trace.ts'

interface Planned {
  readonly atMs: number
  readonly order: number
  run: (() => void) | null
}

/** The one queue of everything that will happen, in simulated milliseconds. */
export class Timeline {
  nowMs = 0
  /** Events run so far. */
  count = 0
  /** Which ones, and when. */
  readonly trace: Trace = new Trace()
  readonly #heap: Planned[] = []
  #order = 0

  plan(delayMs: number, run: () => void): Cancel {
    const planned: Planned = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order, run }
    this.#order += 1
    this.#push(planned)
    return () => {
      planned.run = null
    }
  }

  /** Runs the next event; false if there is none. */
  step(): boolean {
    for (;;) {
      const next = this.#pop()
      if (next === undefined) return false
      if (next.run === null) continue
      this.nowMs = next.atMs
      this.count += 1
      this.trace.number(next.atMs)
      this.trace.number(next.order)
      next.run()
      return true
    }
  }

  #push(planned: Planned): void {
    const heap = this.#heap
    let at = heap.push(planned) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (isBefore(heap[parent] as Planned, planned)) break
      heap[at] = heap[parent] as Planned
      at = parent
    }
    heap[at] = planned
  }

  #pop(): Planned | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Planned)) child += 1
      if (!isBefore(heap[child] as Planned, last)) break
      heap[at] = heap[child] as Planned
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Planned, b: Planned): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
}
