/**
 * A process of its own for lives of a checkout that may be wrong in any way: one that loops for
 * ever ends with its process. Tells of each life when it begins, and how it went.
 */
import { Life } from '../simulated/life.ts'
import type { LivesWanted } from './mutation.ts'

export interface LivesOrder {
  readonly from: number
  readonly to: number
  readonly wanted: LivesWanted
}

/** One line of the output each. */
export type LivesReport =
  | { readonly kind: 'began'; readonly seed: number }
  | { readonly kind: 'broke'; readonly seed: number; readonly violation: string }
  | { readonly kind: 'held' }

/** Simulated milliseconds of faults in a life, as in `npm test`. */
const FAULT_MS = 6_000

const order = JSON.parse(process.argv[2] ?? '') as LivesOrder
report(runLives(order))

function runLives({ from, to, wanted }: LivesOrder): LivesReport {
  for (let seed = from; seed <= to; seed += 1) {
    report({ kind: 'began', seed })
    const life = new Life({ seed, faultMs: FAULT_MS, skipsSync: false, ...wanted })
    const [violation] = life.run().violations
    if (violation !== undefined) return { kind: 'broke', seed, violation }
  }
  return { kind: 'held' }
}

function report(line: LivesReport): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}
