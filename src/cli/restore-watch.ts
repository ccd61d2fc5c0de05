import type { RestoreProgress } from '../backup/backup.ts'
import { Progress } from './progress.ts'

type Phase = RestoreProgress['phase']

/** What one phase did in all its parts. */
interface Sum {
  bytes: number
  entries: number
  durationMs: number
}

/** A part of a phase: one snapshot that comes, one log that is replayed. */
interface Leg {
  readonly phase: Phase
  readonly progress: Progress
  readonly startedMs: number
  readonly firstIndex: number
  last: RestoreProgress
  lastMs: number
}

/** Shows how far a restore is, and knows in the end how fast it was. */
export class RestoreWatch {
  readonly #sums = new Map<Phase, Sum>()
  #leg: Leg | null = null

  update(progress: RestoreProgress): void {
    const { phase, doneBytes, totalBytes, index } = progress
    const isSame = this.#leg?.phase === phase && this.#leg.last.doneBytes <= doneBytes
    if (!isSame) this.#end()
    const nowMs = performance.now()
    this.#leg ??= {
      phase,
      progress: new Progress(totalBytes, showBytes),
      startedMs: nowMs,
      firstIndex: index,
      last: progress,
      lastMs: nowMs,
    }
    this.#leg.last = progress
    this.#leg.lastMs = nowMs
    if (doneBytes > 0) this.#leg.progress.update(doneBytes)
  }

  /** What `restoreNode` tells its logger. */
  info(message: string, details: unknown): void {
    const [, phase] = /^restoring: (\w+)$/.exec(message) ?? []
    if (phase !== undefined) this.update({ ...(details as RestoreProgress), phase: phase as Phase })
    else if (message.startsWith('done without: ')) process.stderr.write(`${message}\n`)
  }

  /** What was done and how fast, in one line. */
  end(): string {
    this.#end()
    const { check, snapshot, log } = Object.fromEntries(this.#sums) as Partial<Record<Phase, Sum>>
    const parts: string[] = []
    if (check !== undefined) parts.push(`read ${describeBytes(check)}`)
    if (snapshot !== undefined) parts.push(`snapshots of ${describeBytes(snapshot)}`)
    if (log !== undefined && log.entries > 0) {
      const rate = perSecond(log.entries, log.durationMs).toLocaleString('en-US')
      const entries = log.entries.toLocaleString('en-US')
      parts.push(`${entries} entries of the log, ${rate} entries/s`)
    }
    return parts.join('; ')
  }

  #end(): void {
    if (this.#leg === null) return
    const { phase, last, lastMs, firstIndex, startedMs, progress } = this.#leg
    progress.end()
    this.#leg = null
    const sum = this.#sums.get(phase) ?? { bytes: 0, entries: 0, durationMs: 0 }
    sum.bytes += last.doneBytes
    sum.entries += last.index - firstIndex
    sum.durationMs += lastMs - startedMs
    this.#sums.set(phase, sum)
  }
}

export function showBytes(bytes: number): string {
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} KB`
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}

function describeBytes({ bytes, durationMs }: Sum): string {
  return `${showBytes(bytes)}, ${showBytes(perSecond(bytes, durationMs))}/s`
}

function perSecond(amount: number, durationMs: number): number {
  return Math.round((amount * 1_000) / Math.max(1, durationMs))
}
