import type { Consistency } from '../../src/index.ts'
import type { Verdict } from './verdict.ts'

/** `bounded` is by `maxStalenessMs`, `after` by the index of a write. */
export type Asked = Consistency | 'bounded' | 'after'

export interface Seen {
  readonly asked: Asked
  /** The level that it was answered at. */
  readonly level: Consistency
  readonly n: number
  /** What is in the write whose index it was to wait for. */
  readonly after: number
  /** Whoever answered: one process of one node. */
  readonly node: object
  readonly callMs: number
  readonly returnMs: number
}

interface Moment {
  readonly n: number
  readonly atMs: number
  readonly index: number
}

const MOMENTS_MAX = 4_096
const SEEN_MAX = 256

/**
 * What each level promises of a number that only rises:
 *
 * - `strong`: all that was acknowledged before the read was asked for;
 * - `lease`, `bounded`: all that was acknowledged so long before it;
 * - `after`: the write that it waits for;
 * - each: nothing that nobody wrote yet, and on one node nothing older than what was read before.
 */
export class LevelsOracle {
  readonly #verdict: Verdict
  readonly #bounds: { readonly leaseMs: number; readonly boundedMs: number }
  readonly #acknowledged: Moment[] = [{ n: 0, atMs: Number.NEGATIVE_INFINITY, index: 0 }]
  readonly #begun: Moment[] = []
  readonly #seen = new WeakMap<object, Moment[]>()

  constructor(bounds: { readonly leaseMs: number; readonly boundedMs: number }, verdict: Verdict) {
    this.#bounds = bounds
    this.#verdict = verdict
  }

  /** The last that was acknowledged. */
  get newest(): Moment {
    return this.#acknowledged.at(-1) as Moment
  }

  begin(n: number, atMs: number): void {
    keep(this.#begun, { n, atMs, index: 0 }, MOMENTS_MAX)
  }

  acknowledge(n: number, atMs: number, index: number): void {
    keep(this.#acknowledged, { n, atMs, index }, MOMENTS_MAX)
  }

  judge(seen: Seen): void {
    const { asked, level, n, after, callMs, returnMs } = seen
    const what = `a read ${asked}, answered as ${level} at ${callMs.toFixed(1)}, says ${n}`
    const least = this.#leastOf(seen)
    if (n < least) {
      const breach = asked === 'strong' ? 'stale' : 'broken'
      this.#verdict.add(breach, `${what}; ${least} was acknowledged in time`)
    }
    if (asked === 'after' && n < after)
      this.#verdict.add('broken', `${what}; it waited for ${after}`)
    const begun = this.#begun.findLast(({ atMs }) => atMs <= returnMs)?.n ?? 0
    if (n > begun) this.#verdict.add('broken', `${what}; the last that was written is ${begun}`)
    this.#judgeNode(seen, what)
  }

  #leastOf({ asked, level, callMs }: Seen): number {
    if (asked === 'strong') return this.#acknowledgedBefore(callMs)
    if (asked === 'bounded') return this.#acknowledgedBefore(callMs - this.#bounds.boundedMs)
    // Where it had to ask, it promises what `weak` does: of a leader just deposed, little.
    if (asked === 'lease' && level === 'lease') {
      return this.#acknowledgedBefore(callMs - this.#bounds.leaseMs)
    }
    return 0
  }

  #acknowledgedBefore(beforeMs: number): number {
    return this.#acknowledged.findLast(({ atMs }) => atMs < beforeMs)?.n ?? 0
  }

  #judgeNode({ node, n, callMs, returnMs }: Seen, what: string): void {
    const moments = this.#seen.get(node) ?? []
    this.#seen.set(node, moments)
    for (const before of moments) {
      if (before.atMs >= callMs || before.n <= n) continue
      this.#verdict.add('broken', `${what}; the same node said ${before.n} before it`)
      break
    }
    keep(moments, { n, atMs: returnMs, index: 0 }, SEEN_MAX)
  }
}

function keep(moments: Moment[], moment: Moment, countMax: number): void {
  moments.push(moment)
  if (moments.length > countMax) moments.shift()
}
