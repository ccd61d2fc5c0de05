import type { Cluster } from './cluster.ts'
import type { Tally } from './tally.ts'

/** A few at a time: one write that removes very many would hold up the ones behind it. */
const IDS_PER_STEP = 2_048

/** Removes the rows that the tally has given up, so that the table stays within bounds. */
export class Pruning {
  #prunedBelow: number
  #isBusy = false

  constructor(oldestId: number) {
    this.#prunedBelow = oldestId
  }

  step(cluster: Cluster, tally: Tally): void {
    tally.shrink()
    const below = Math.min(tally.keptFrom, this.#prunedBelow + IDS_PER_STEP)
    const handle = cluster.leader?.running ?? null
    if (below <= this.#prunedBelow || handle === null || this.#isBusy) return
    this.#isBusy = true
    handle
      .call('prune', below)
      .then(() => {
        this.#prunedBelow = below
      })
      // There is no leader just now: the next step tries again.
      .catch(() => {})
      .finally(() => {
        this.#isBusy = false
      })
  }
}
