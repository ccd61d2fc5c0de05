import { type AnyRule, ruleOf } from './invariants.ts'
import { Life, type LifeOptions, type LifeReport } from './life.ts'
import { CALM_SHAPE, type Shape } from './shape.ts'

/** Fewer lives are worth more than the last call that could be left out. */
const LIVES_MAX = 400

/** Features of a life without which it is simpler, the one that says most first. */
const SIMPLER: readonly Partial<Shape>[] = [
  { hasTrouble: false },
  { hasDatagrams: false },
  { hasRelaxed: false },
  { hasLargeWrites: false },
  { resetChance: 0 },
  { settings: CALM_SHAPE.settings },
  { latencyMsMax: 1 },
  { impatience: CALM_SHAPE.impatience },
  { nodes: 3 },
  { nodes: 2 },
]

/**
 * The least of a life that still breaks a rule, or the first that it broke: without whole kinds of
 * strikes, without what makes it special, then without single strikes, then without single calls.
 * Each draws from a stream of its own, so what stays is as it was. Null for a life that does not.
 */
export function minimize(
  options: LifeOptions,
  say: (text: string) => void,
  wanted: AnyRule | null = null,
): { readonly options: LifeOptions; readonly report: LifeReport } | null {
  let best = { options, report: new Life(options).run() }
  const rule = wanted ?? rulesOf(best.report)[0]
  if (rule === undefined || !rulesOf(best.report).includes(rule)) return null
  let lives = 1
  const stillBreaks = (change: Partial<LifeOptions>): boolean => {
    if (lives >= LIVES_MAX) return false
    lives += 1
    const tried = { ...best.options, ...change }
    const report = new Life(tried).run()
    if (!rulesOf(report).includes(rule)) return false
    best = { options: tried, report }
    return true
  }
  const tell = (what: string): void => {
    const { strikes, calls, events } = best.report
    say(`${what}: ${strikes.length} strikes, ${calls} calls, ${events} events (${lives} lives)`)
  }
  tell('as it was')
  for (const kind of new Set(best.report.strikes.map((strike) => strike.kind))) {
    stillBreaks({ without: [...(best.options.without ?? []), kind] })
  }
  tell('kinds of strikes')
  for (const simpler of SIMPLER) {
    stillBreaks({ shape: { ...best.options.shape, ...simpler } })
  }
  tell('shape')
  const strikes = best.report.strikes.map(({ number }) => number)
  reduce(strikes, (kept) => stillBreaks({ strikes: kept }))
  tell('strikes')
  const calls = Array.from({ length: best.report.calls }, (_, at) => at + 1)
  reduce(calls, (kept) => stillBreaks({ calls: kept }))
  tell('calls')
  return best
}

/**
 * Leaves out what can be left out, in ever smaller parts (Zeller's ddmin, without its subsets).
 * `isEnough` is told what stays; what it agrees to is gone for good.
 */
export function reduce<Item>(
  items: readonly Item[],
  isEnough: (kept: readonly Item[]) => boolean,
): readonly Item[] {
  let kept = items
  for (let size = Math.ceil(kept.length / 2); size >= 1 && kept.length > 0; ) {
    for (let from = 0; from < kept.length; ) {
      const rest = [...kept.slice(0, from), ...kept.slice(from + size)]
      if (isEnough(rest)) kept = rest
      else from += size
    }
    if (size === 1) break
    size = Math.ceil(size / 2)
  }
  return kept
}

function rulesOf({ violations }: LifeReport): readonly string[] {
  return violations.map(ruleOf)
}
