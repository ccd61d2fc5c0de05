import type { Cluster } from './cluster.ts'
import type { SeededRandom } from './random.ts'

const DATABASES = ['main', 'main', 'main', 'other']
const READ_SHARE = 0.2
const REFUSED_SHARE = 0.05
const LARGE_SHARE = 0.05
const LARGE_BYTES_MAX = 700 * 1024

/** What clients do, each time by itself: one call more or less changes no other. */
export class Workload {
  readonly #cluster: Cluster
  readonly #random: SeededRandom
  readonly #wanted: ReadonlySet<number> | null
  calls = 0

  /** `wanted`: the calls that are made, by number; null for all. */
  constructor(cluster: Cluster, random: SeededRandom, wanted: ReadonlySet<number> | null) {
    this.#cluster = cluster
    this.#random = random
    this.#wanted = wanted
  }

  /** One call of somebody. */
  call(): void {
    this.calls += 1
    const number = this.calls
    if (this.#wanted?.has(number) === false) return
    const random = this.#random.stream(String(number))
    if (random.chance(READ_SHARE)) this.#read(random)
    else if (this.#cluster.timeline.nowMs >= this.#cluster.quietUntilMs) this.#write(random, number)
  }

  #write(random: SeededRandom, number: number): void {
    const isRefused = random.chance(REFUSED_SHARE)
    const text = `${isRefused ? 'refused' : 'w'}${number}`
    const isLarge = random.chance(LARGE_SHARE) && this.#cluster.options.shape.hasLargeWrites
    const padding = isLarge ? random.bytes(random.below(LARGE_BYTES_MAX)) : null
    random.pick(this.#cluster.alive).write(random.pick(DATABASES), text, padding)
  }

  #read(random: SeededRandom): void {
    const { invariants, alive } = this.#cluster
    const process = random.pick(alive)
    const seen = invariants.acknowledgedIndex
    process.read('strong', (index) => invariants.strongRead(process, seen, index))
  }

  /** Every node that takes itself for the leader is read from. */
  readByLease(): void {
    const { invariants, alive } = this.#cluster
    for (const process of alive) {
      const { isLeader, term } = process.shared.readEngine()
      if (!process.isReady || !isLeader) continue
      const seen = invariants.acknowledgedIndex
      const isOld = alive.some(({ isUp, shared }) => {
        const other = shared.readEngine()
        return isUp && other.isLeader && other.term > term
      })
      process.readByLease((index, isByLease) => {
        invariants.strongRead(process, seen, index)
        if (isByLease) invariants.reach('a strong read went by a lease')
        if (isByLease && process.isHeld) {
          invariants.reach('a strong read went by a lease while the engine stood still')
        }
        if (isOld && !isByLease) invariants.reach('an old leader had no lease any more')
      })
    }
  }
}
