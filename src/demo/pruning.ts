import type { Cluster } from './cluster.ts'
import { PRUNED_ROWS } from './node-messages.ts'
import type { Tally } from './tally.ts'

/** Removes the rows that the tally has given up, so that the table stays within bounds. */
export class Pruning {
  #prunedBelow = 0
  #isBusy = false

  step(cluster: Cluster, tally: Tally): void {
    tally.shrink()
    const below = tally.keptFrom
    const handle = cluster.leader?.running ?? null
    if (below <= this.#prunedBelow || handle === null || this.#isBusy) return
    this.#isBusy = true
    handle
      .call('prune', below)
      .then((count) => {
        if (count < PRUNED_ROWS) this.#prunedBelow = below
      })
      // There is no leader just now: the next step tries again.
      .catch(() => {})
      .finally(() => {
        this.#isBusy = false
      })
  }
}
