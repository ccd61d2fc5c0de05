import { noteDivergence, readDivergence } from './generation.ts'
import { haltingTrouble, MachineTrouble } from './trouble.ts'

/**
 * Whether the files of one generation may differ from the other members'. Once they may, they do
 * for good: it is kept beside them, and only another generation is trusted again.
 */
export class Divergence {
  readonly #path: string
  #reason: string | null

  /** `path` is the generation's directory. */
  constructor(path: string) {
    this.#path = path
    this.#reason = readDivergence(path)?.reason ?? null
  }

  get isNoted(): boolean {
    return this.#reason !== null
  }

  /** @throws MachineTrouble if the files may differ. */
  refuse(): void {
    if (this.#reason !== null) throw new MachineTrouble(this.#reason, { divergent: true })
  }

  /**
   * Does what only this machine's trouble may stop, and returns that, or null. Trouble that says
   * that the files may differ is noted.
   */
  watch(index: number, work: () => void): MachineTrouble | null {
    try {
      work()
      return null
    } catch (error) {
      const trouble = haltingTrouble(error)
      if (trouble === null) throw error
      if (trouble.isDivergent) this.note(index, trouble.message)
      return trouble
    }
  }

  /** `index`: how far these files had applied. */
  note(index: number, reason: string): void {
    if (this.#reason !== null) return
    this.#reason = reason
    noteDivergence(this.#path, index, reason)
  }
}
