import type { FaultCount, Nemesis } from './nemesis.ts'
import type { Record } from './record.ts'
import { type FaultKind, LANES } from './schedule.ts'
import type { Verdict } from './verdict.ts'

export interface RunFigures {
  readonly nodes: number
  readonly seed: number
  readonly strongReads: 'majority' | 'lease'
  readonly tookMs: number
  readonly folder: string | null
  readonly verdict: Verdict
  readonly record: Record
  readonly nemesis: Nemesis
  readonly leaders: number
  readonly memoryBytes: ReadonlyMap<string, number>
}

const MB = 1_000_000

/** How far a run is, in a line. */
export function describeProgress(
  pastMs: number,
  record: Record,
  leaders: number,
  verdict: Verdict,
): string {
  const seconds = Math.round(pastMs / 1_000)
  const broken = verdict.isGood ? '' : `; WRONG: ${JSON.stringify(verdict.counts)}`
  return `${seconds} s: ${record.operations} operations, ${leaders} leaders${broken}`
}

/** What a run came to; its verdict is in the last line. */
export function describeRun(figures: RunFigures): readonly string[] {
  const { nodes, seed, strongReads, tookMs, folder, verdict, record, nemesis, leaders } = figures
  const { undecided } = verdict.counts
  const kinds = [...record.counts].sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    `${nodes} nodes behind TCP proxies on loopback, seed ${seed}, strong reads by ${strongReads}`,
    `${(tookMs / 60_000).toFixed(1)} minutes, ${record.operations} operations, ${leaders} leaders`,
    'operations: acknowledged, committed by the word of an error, refused, unknown',
    ...kinds.map(([name, counts]) => {
      const { ok, committed, unknown } = counts
      return `  ${name.padEnd(22)} ${[ok, committed, counts['not-applied'], unknown].join(', ')}`
    }),
    `errors: ${describeCounts(record.codes)}`,
    `faults that struck, of those that began: ${describeFaults(nemesis.counts)}`,
    `faults that never struck: ${describeMissing(nemesis.counts)}`,
    `longest time without an acknowledged write: ${Math.round(record.longestGapMs)} ms`,
    `most memory: ${describeMemory(figures.memoryBytes)}`,
    ...verdict.texts,
    ...(folder === null ? [] : [`history, schedule and the nodes' output: ${folder}`]),
    `other checks that do not hold ${verdict.counts.broken}, histories undecided ${undecided}`,
    verdict.line,
  ]
}

function describeCounts(counts: ReadonlyMap<string, number>): string {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([name, count]) => `${name} ${count}`).join(', ') || 'none'
}

function describeFaults(counts: ReadonlyMap<FaultKind, FaultCount>): string {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  return (
    sorted.map(([kind, { begun, struck }]) => `${kind} ${struck}/${begun}`).join(', ') || 'none'
  )
}

/** What this run says nothing about. */
function describeMissing(counts: ReadonlyMap<FaultKind, FaultCount>): string {
  const kinds: readonly FaultKind[] = Object.values(LANES).flat()
  return kinds.filter((kind) => (counts.get(kind)?.struck ?? 0) === 0).join(', ') || 'none'
}

function describeMemory(bytes: ReadonlyMap<string, number>): string {
  return [...bytes].map(([name, count]) => `${name} ${Math.round(count / MB)} MB`).join(', ')
}
