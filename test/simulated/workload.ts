import { Clients } from './clients.ts'
import type { Cluster } from './cluster.ts'
import type { SeededRandom } from './random.ts'
import { writeText } from './written.ts'

const DATABASES = ['main', 'main', 'main', 'other']
/** Of a hundred calls. */
const SHARES = { write: 50, strong: 12, weak: 8, register: 20, transaction: 10 } as const
const KINDS = Object.entries(SHARES).flatMap(([kind, share]) => new Array(share).fill(kind))
const REFUSED_SHARE = 0.05
const LARGE_SHARE = 0.05
const LARGE_BYTES_MAX = 700 * 1024

/** What clients do, each time by itself: one call more or less changes no other. */
export class Workload {
  readonly #cluster: Cluster
  readonly #random: SeededRandom
  readonly #wanted: ReadonlySet<number> | null
  readonly clients: Clients
  calls = 0

  /** `wanted`: the calls that are made, by number; null for all. */
  constructor(cluster: Cluster, random: SeededRandom, wanted: ReadonlySet<number> | null) {
    this.#cluster = cluster
    this.#random = random
    this.#wanted = wanted
    this.clients = new Clients(cluster)
  }

  /** One call of somebody. */
  call(): void {
    this.calls += 1
    const number = this.calls
    if (this.#wanted?.has(number) === false) return
    const random = this.#random.stream(String(number))
    const kind = random.pick(KINDS)
    const isQuiet = this.#cluster.timeline.nowMs < this.#cluster.quietUntilMs
    if (kind === 'strong' || kind === 'weak') this.#read(kind, random)
    else if (isQuiet) return
    else if (kind === 'write') this.#write(random, number)
    else {
      const process = random.pick(this.#cluster.alive)
      if (kind === 'register') this.clients.callRegister(process, random, number)
      else this.clients.callTransaction(process, random, number)
    }
  }

  #write(random: SeededRandom, number: number): void {
    const isRefused = random.chance(REFUSED_SHARE)
    const text = `${isRefused ? 'refused' : 'w'}${number}`
    const isLarge = random.chance(LARGE_SHARE) && this.#cluster.options.shape.hasLargeWrites
    const padding = isLarge ? random.bytes(random.below(LARGE_BYTES_MAX)) : null
    const process = random.pick(this.#cluster.alive)
    writeText(this.#cluster, process, random.pick(DATABASES), text, padding)
  }

  #read(level: 'strong' | 'weak', random: SeededRandom): void {
    const { invariants, alive } = this.#cluster
    const process = random.pick(alive)
    const seen = invariants.acknowledgedIndex
    // Whoever leads later has all that was acknowledged by now, before it answers anything.
    const commits = alive
      .map(({ isUp, shared }) => ({ isUp, ...shared.readEngine() }))
      .filter(({ isUp, isLeader, ownTermCommitted }) => isUp && isLeader && ownTermCommitted)
      .map(({ commit }) => commit)
    const least = Math.min(seen, ...commits)
    process.read(level, (index) => {
      if (level === 'strong') invariants.strongRead(process, seen, index)
      else invariants.weakRead(least, index)
    })
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
