const KEPT_MS = 120_000

/** How far the cluster was, and when: what an index is behind, as time. */
export class LagHistory {
  #points: { readonly at: number; readonly index: number }[] = []

  /** The last index of the leader's log, as far as anybody knows. */
  get target(): number {
    return this.#points.at(-1)?.index ?? 0
  }

  add(at: number, index: number): void {
    // A leader that is gone takes along what nobody else has of its log.
    while (this.target > index) this.#points.pop()
    if (index > this.target) this.#points.push({ at, index })
    const [oldest, ...others] = this.#points
    if (oldest === undefined || others.length === 0 || at - oldest.at <= KEPT_MS) return
    // The last is the target, however old it is.
    const last = others.pop() as (typeof others)[number]
    this.#points = [...others.filter((point) => at - point.at <= KEPT_MS / 2), last]
  }

  /** For how long there has been more than `index`; 0 if there is not. */
  lagMs(at: number, index: number): number {
    const next = this.#points.find((point) => point.index > index)
    return next === undefined ? 0 : at - next.at
  }
}
