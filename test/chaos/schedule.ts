/** What troubles a run, and when: a list that its seed gives, or a file of an earlier run. */
import { SeededRandom } from '../simulated/random.ts'

/** Two at a time may trouble a cluster, one of each lane. */
export const LANES = {
  wires: [
    'isolate-one',
    'isolate-leader',
    'halves',
    'bridge',
    'one-way',
    'flapping',
    'slow',
    'half-open',
  ],
  processes: [
    'kill-one',
    'kill-leader',
    'kill-all',
    'pause-one',
    'pause-leader',
    'stop',
    'rolling-restart',
    'transfer',
    'replace-member',
    'wipe-member',
    'demote',
    'clock-step',
    'slow-disk',
    'full-disk',
    'compact',
    'export',
  ],
} as const

export type Lane = keyof typeof LANES
export type FaultKind = (typeof LANES)[Lane][number]

export interface Fault {
  /** From the beginning of the run. */
  readonly atMs: number
  /** How long it lasts, where it lasts. */
  readonly forMs: number
  readonly kind: FaultKind
  /** A number by which it chooses: a node, a side, or how bad it is. */
  readonly choice: number
}

export interface ScheduleOptions {
  readonly seed: number
  readonly durationMs: number
  /** Between the end of one fault and the beginning of the next of its lane. */
  readonly restMs: number
}

const FIRST_MS = 2_000
const FOR_MS = { least: 800, most: 5_000 }

/** Every kind of a lane comes before one comes again. */
export function makeSchedule({ seed, durationMs, restMs }: ScheduleOptions): readonly Fault[] {
  const faults: Fault[] = []
  for (const lane of Object.keys(LANES) as Lane[]) {
    const random = new SeededRandom(seed).stream(lane)
    let left: FaultKind[] = []
    for (let atMs = FIRST_MS; ; ) {
      const forMs = random.between(FOR_MS.least, FOR_MS.most)
      if (atMs + forMs > durationMs) break
      if (left.length === 0) left = [...LANES[lane]]
      const [kind] = left.splice(random.below(left.length), 1) as [FaultKind]
      faults.push({ atMs, forMs, kind, choice: random.below(1_000) })
      atMs += forMs + random.between(restMs / 2, restMs * 1.5)
    }
  }
  return faults.sort((a, b) => a.atMs - b.atMs)
}

export function laneOf(kind: FaultKind): Lane {
  return (LANES.wires as readonly FaultKind[]).includes(kind) ? 'wires' : 'processes'
}

/** One fault on a line. */
export function formatSchedule(faults: readonly Fault[]): string {
  return faults.map((fault) => `${JSON.stringify(fault)}\n`).join('')
}

/** @throws Error that names the line which is no fault, also where there is none at all. */
export function parseSchedule(text: string): readonly Fault[] {
  const lines = text.split('\n').filter((line) => line !== '')
  if (lines.length === 0) throw new Error('the schedule has no fault')
  return lines.map((line, at) => {
    const { atMs, forMs, kind, choice } = readLine(line)
    const kinds: readonly unknown[] = Object.values(LANES).flat()
    const isFault = kinds.includes(kind) && [atMs, forMs, choice].every(Number.isFinite)
    if (!isFault) throw new Error(`line ${at + 1} of the schedule is no fault: ${line}`)
    return { atMs, forMs, kind, choice } as Fault
  })
}

function readLine(line: string): { readonly [name: string]: unknown } {
  try {
    return Object(JSON.parse(line))
  } catch {
    return {}
  }
}
