import type { Entry } from '../raft/types.ts'
import type { Halted } from './outcome.ts'

/** What apply stands still for, and at which entry. */
export class Standstill {
  /** As it was told, until a group applies again. */
  halted: Halted | null = null
  #at = 0
  #lastOfGroup = 0

  /** The entry that failed by itself; 0 if none did, or if it was one of several. */
  get at(): number {
    return this.#at
  }

  /** What is tried next: of a group that failed each entry by itself, to know which one it is. */
  split(entries: readonly Entry[]): readonly Entry[] {
    const [first] = entries
    return first !== undefined && first.index <= this.#lastOfGroup ? [first] : entries
  }

  /** `entries` are those that failed, none if it was something else; true if that is news. */
  failed(halted: Halted, entries: readonly Entry[]): boolean {
    this.#at = entries.length === 1 && !halted.isDivergent ? (entries[0]?.index ?? 0) : 0
    this.#lastOfGroup = Math.max(this.#lastOfGroup, entries.at(-1)?.index ?? 0)
    const isNews = this.halted?.error.message !== halted.error.message
    this.halted = halted
    return isNews
  }

  /** True if apply stood still until now. */
  resumed(): boolean {
    const wasHalted = this.halted !== null
    this.halted = null
    this.#at = 0
    return wasHalted
  }
}
