import { invalidArgument } from './options.ts'

/** Who hears whom: nodes of one group do, and those in no group are one more. */
export class Partition {
  readonly #groups: readonly (readonly string[])[]

  /** @throws ColmenaError ERR_INVALID_ARGUMENT where a node is in two groups */
  constructor(groups: readonly (readonly string[])[] = []) {
    const ids = groups.flat()
    const twice = ids.find((id, at) => ids.indexOf(id) !== at)
    if (twice !== undefined) throw invalidArgument(`${twice} is in two groups of the partition`)
    this.#groups = groups
  }

  isCut(one: string, other: string): boolean {
    return this.#groupOf(one) !== this.#groupOf(other)
  }

  /** In words, of the nodes that there are; '' where nobody is cut off. */
  describe(ids: readonly string[]): string {
    const groups = Map.groupBy(ids, (id) => this.#groupOf(id))
    if (groups.size < 2) return ''
    return [...groups.values()].map((group) => group.join(', ')).join(' | ')
  }

  #groupOf(id: string): number {
    return this.#groups.findIndex((group) => group.includes(id))
  }
}
