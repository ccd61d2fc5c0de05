/** What simulated lives came to, in words: all of them together, and one with what replays it. */
import { BREAKS } from './breaks.ts'
import type { LifeOptions, LifeReport } from './life.ts'
import type { LifeEnd } from './many.ts'

export type Asked = Omit<LifeOptions, 'seed'>

/** Simulated, unless `--fault-ms` says otherwise. */
export const FAULT_MS = 20_000
const LOST_WRITES_SHOWN = 10
const STRIKES_SHOWN = 200
const SUMS = ['events', 'acknowledged', 'crashes', 'snapshots'] as const

export class Tally {
  readonly #asked: Asked
  readonly #sums = { events: 0, acknowledged: 0, crashes: 0, snapshots: 0 }
  readonly #reached = new Map<string, number>()
  readonly #struck = new Map<string, number>()
  readonly #failedSeeds: number[] = []
  /** What of that which was named came, as {@link missing} has it. */
  readonly #came = new Set<string>()
  #knownLives = 0
  lives = 0

  constructor(asked: Asked) {
    this.#asked = asked
  }

  get failed(): number {
    return this.#failedSeeds.length
  }

  add({ seed, violations, report }: LifeEnd): void {
    this.lives += 1
    if (violations.length > 0) this.#failedSeeds.push(seed)
    if (report === null) return
    this.#knownLives += 1
    for (const key of SUMS) this.#sums[key] += report[key]
    for (const state of report.reached) count(this.#reached, state)
    for (const { kind, number } of report.strikes) {
      count(this.#struck, kind)
      this.#came.add(`strike ${number}`)
    }
    for (const kind of report.spared) this.#came.add(kind)
    for (const call of this.#asked.calls ?? []) {
      if (call <= report.calls) this.#came.add(`call ${call}`)
    }
  }

  /** For the record. */
  get figures(): Readonly<Record<string, number | string>> {
    const { lives, failed } = this
    const seeds = failed > 0 ? { seeds: this.#failedSeeds.toSorted((a, b) => a - b).join(' ') } : {}
    // A run that is not good for this alone says why.
    const missing = this.missing.length > 0 ? { missing: this.missing.join('; ') } : {}
    return { lives, ...this.#sums, failed, ...seeds, ...missing }
  }

  /** What was asked for by its name and made no difference: whoever named it is mistaken. */
  get missing(): readonly string[] {
    const { strikes = [], calls = [], without = [] } = this.#asked
    if (this.#knownLives === 0) return []
    const named = [...strikes.map((one) => `strike ${one}`), ...calls.map((one) => `call ${one}`)]
    // A life that fails is over then: what else would have come nobody knows.
    const kinds = this.failed > 0 ? [] : without
    const isMissing = (one: string): boolean => !this.#came.has(one)
    return [
      ...named.filter(isMissing).map((one) => `${one} never came`),
      ...kinds.filter(isMissing).map((kind) => `no ${kind} was left out: none would have come`),
    ]
  }

  get lines(): readonly string[] {
    const { events, acknowledged, crashes, snapshots } = this.#sums
    const strikes = [...this.#struck].sort().map(([kind, times]) => `${kind} ${times}`)
    return [
      `${this.lives} lives, ${events} events, ${acknowledged} writes acknowledged, ` +
        `${crashes} crashes, ${snapshots} snapshots installed: ${this.failed} broke an invariant`,
      ...[...this.#reached].sort().map(([state, times]) => `  ${state}: in ${times} lives`),
      `  strikes: ${strikes.join(', ') || 'none'}`,
      ...this.missing,
    ]
  }
}

/** How one life ended, and if it failed how one lives it again; `breaks`: see {@link BREAKS}. */
export function describeEnd(
  { seed, violations, report }: LifeEnd,
  asked: Asked,
  breaks: string | null,
): readonly string[] {
  const lines =
    report === null
      ? [`seed ${seed}: nobody knows what it came to`, ...violations.map(indent)]
      : describeReport(report)
  if (violations.length > 0) lines.push(`  replay: ${describeReplay(seed, asked, breaks)}`)
  return lines
}

function describeReport(report: LifeReport): string[] {
  const { seed, shape, events, trace, acknowledged, crashes, elections, snapshots } = report
  const { violations, lostWrites, isJudged, strikes } = report
  const lines = [
    `seed ${seed}: ${events} events, ${acknowledged} writes, ${crashes} crashes, ` +
      `${elections} leaders, ${snapshots} snapshots: ` +
      (violations.length === 0 ? 'all invariants held' : 'in the order of what was noticed:'),
    `  trace ${trace}`,
    `  ${shape}`,
    ...violations.map(indent),
  ]
  if (lostWrites.length > 0) {
    lines.push(`  LOST, in databases that have healed and are level: ${lostWrites.length}`)
    lines.push(...lostWrites.slice(0, LOST_WRITES_SHOWN).map((write) => `    ${write}`))
  } else if (!isJudged) {
    lines.push('  it did not heal: what was lost in the end is not known')
  }
  if (violations.length === 0) return lines
  const shown = strikes.slice(-STRIKES_SHOWN)
  return [
    ...lines,
    ...shown.map(({ number, atMs, kind }) => `  strike ${number} at ${atMs} ms: ${kind}`),
  ]
}

function describeReplay(seed: number, asked: Asked, breaks: string | null): string {
  const { faultMs, leases, without, strikes, calls, shape } = asked
  const parts = [`npm run simulate -- --seed ${seed}`]
  if (faultMs !== FAULT_MS) parts.push(`--fault-ms ${faultMs}`)
  if (breaks !== null) parts.push(`--break ${breaks}`)
  else if (leases === 'kept') parts.push('--leases')
  if (without !== undefined) parts.push(`--without '${without.join(',')}'`)
  if (strikes !== undefined) parts.push(`--strikes '${strikes.join(',')}'`)
  if (calls !== undefined) parts.push(`--calls '${calls.join(',')}'`)
  const isOfBreak = breaks !== null && shape === BREAKS[breaks]?.life.shape
  if (shape !== undefined && !isOfBreak) parts.push(`--shape '${JSON.stringify(shape)}'`)
  return parts.join(' ')
}

function indent(line: string): string {
  return `  ${line}`
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1)
}
