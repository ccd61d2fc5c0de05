import type { Cluster } from './cluster.ts'
import type { Writes } from './writes.ts'

/** Without a leader writes wait: no more than so many. */
const OPEN_WRITES_MAX = 2_000
/** Writes of the load that get a row of their own; the others only count. */
const ROWS_PER_SECOND = 4
/** After a pause of this process the rest is not made up for. */
const OWED_SECONDS_MAX = 0.2

const TEXTS: readonly string[] = [
  'a bee came home with clover',
  'the scout danced: apple trees, south',
  'cell 4711 is sealed',
  'the queen laid another egg',
  'heather, two fields from here',
  'a guard let a stranger pass',
  'it rains, all stay in',
  'linden honey, a full frame',
]

export function makeUpText(): string {
  return TEXTS[Math.floor(Math.random() * TEXTS.length)] as string
}

/** So many writes a second, spread over the nodes that can take them. */
export class Load {
  readonly #cluster: Cluster
  readonly #writes: Writes
  #owed = 0
  #rowsOwed = 0
  #turn = 0

  constructor(cluster: Cluster, writes: Writes) {
    this.#cluster = cluster
    this.#writes = writes
  }

  /** `seconds` have passed since the last call. */
  tick(ratePerSecond: number, seconds: number): void {
    const counted = Math.min(seconds, OWED_SECONDS_MAX)
    this.#owed += ratePerSecond * counted
    this.#rowsOwed = Math.min(1, this.#rowsOwed + ROWS_PER_SECOND * counted)
    const count = Math.floor(this.#owed)
    this.#owed -= count
    const members = this.#cluster.whole
    const isFull = this.#writes.tally.openCount + count > OPEN_WRITES_MAX
    if (count === 0 || isFull || members.length === 0) return
    for (const [at, share] of deal(count, members.length).entries()) {
      const member = members[(this.#turn + at) % members.length]
      if (member === undefined || share === 0) continue
      const texts = Array.from({ length: share }, makeUpText)
      const shown = Math.floor(this.#rowsOwed)
      this.#rowsOwed -= shown
      this.#writes.send(member, texts, shown)
    }
    this.#turn += 1
  }
}

/** Shares that differ by one at most. */
function deal(count: number, shares: number): number[] {
  return Array.from({ length: shares }, (_, at) => {
    return Math.floor(count / shares) + (at < count % shares ? 1 : 0)
  })
}
