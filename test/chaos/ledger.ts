import type { Fate } from './record.ts'
import type { Verdict } from './verdict.ts'

const CODES: readonly Fate[] = ['unknown', 'ok', 'committed', 'not-applied']

/** What became of every write, by its number, as its caller was told: a byte for each. */
export class Ledger {
  #fates = new Uint8Array(1_024)
  #last = 0

  get count(): number {
    return this.#last
  }

  /** The number of a write that is about to begin. */
  next(): number {
    this.#last += 1
    if (this.#last === this.#fates.length) {
      const more = new Uint8Array(2 * this.#fates.length)
      more.set(this.#fates)
      this.#fates = more
    }
    return this.#last
  }

  settle(id: number, fate: Fate): void {
    this.#fates[id] = CODES.indexOf(fate)
  }

  /** Of a write with a fence: that its entry is committed does not say that its lock was held. */
  settleFenced(id: number, fate: Fate): void {
    this.settle(id, fate === 'committed' ? 'unknown' : fate)
  }

  fate(id: number): Fate {
    return CODES[this.#fates[id] ?? 0] as Fate
  }

  /** Holds all writes against the numbers that a node's databases hold in the end. */
  check(ids: Iterable<number>, where: string, verdict: Verdict): void {
    const seen = new Uint8Array(this.#last + 1)
    for (const id of ids) {
      if (!(id >= 1 && id <= this.#last)) {
        verdict.add('broken', `${where} has write ${id}, which nobody made`)
        continue
      }
      seen[id] = Math.min(255, (seen[id] ?? 0) + 1)
    }
    for (let id = 1; id <= this.#last; id += 1) {
      const [times, fate] = [seen[id] ?? 0, this.fate(id)]
      if (times > 1) verdict.add('duplicated', `${where} has write ${id} ${times} times`)
      if (times === 0 && (fate === 'ok' || fate === 'committed')) {
        verdict.add('lost', `${where} lacks write ${id}, of which its caller was told: ${fate}`)
      }
      if (times > 0 && fate === 'not-applied') {
        verdict.add('broken', `${where} has write ${id}, of which its caller was told: ${fate}`)
      }
    }
  }
}
