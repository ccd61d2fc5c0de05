/**
 * What each level of a read promises, as an index that the answer must contain. A read's own index
 * is one that it does contain, so the one is held against the other.
 */
import { HighestBefore } from './highest-before.ts'
import type { LogAnswer, LogRead, LogRule } from './log-history.ts'

export interface LevelOptions {
  /** How old an answer at `lease` may be: the election timeout. */
  readonly leaseMs?: number | undefined
  /**
   * How long after the first acknowledgement of its successor a leader may still answer `weak`.
   * Without it that is not known, and `weak` goes by `leaderCommit` alone.
   */
  readonly deposedMsMax?: number | undefined
}

/** A write that was acknowledged, or a read that was answered. */
export interface Ended {
  readonly origin: string
  readonly returnMs: number
  readonly index: number
  /** Of the log, that it saw at least. */
  readonly position: number
  readonly isWrite: boolean
}

export interface AnsweredRead {
  readonly input: LogRead
  readonly output: LogAnswer
  readonly callMs: number
}

/** What an answer must contain, and by which rule. */
export interface Floor {
  readonly rule: LogRule
  readonly index: number
  /** The same of what is known to have been seen, as a position of the log. */
  readonly position: number
  readonly why: string
}

interface Highest {
  readonly index: HighestBefore
  readonly position: HighestBefore
}

/** The floors of every read in one history. */
export class Levels {
  readonly #options: LevelOptions
  readonly #writes: Highest
  readonly #all: Highest
  readonly #ofOrigin: ReadonlyMap<string, Highest>

  constructor(ended: readonly Ended[], options: LevelOptions) {
    this.#options = options
    this.#writes = highestOf(ended.filter(({ isWrite }) => isWrite))
    this.#all = highestOf(ended)
    const origins = Map.groupBy(ended, ({ origin }) => origin)
    this.#ofOrigin = new Map([...origins].map(([origin, ofIt]) => [origin, highestOf(ofIt)]))
  }

  floorsOf(read: AnsweredRead): readonly Floor[] {
    const { input, output, callMs } = read
    const floors = [...this.#floorsOfLevel(read), this.#floorOfOrigin(read)]
    if (input.after !== undefined) {
      floors.push({
        rule: 'after',
        index: input.after,
        position: 0,
        why: 'it was told to wait for',
      })
    }
    if (input.maxStalenessMs !== undefined) {
      const sinceMs = (output.answeredMs ?? callMs) - input.maxStalenessMs
      floors.push(this.#acknowledged('maxStalenessMs', sinceMs))
    }
    return floors
  }

  #floorsOfLevel({ output, callMs }: AnsweredRead): Floor[] {
    const { leaseMs, deposedMsMax } = this.#options
    switch (output.level) {
      case 'strong': {
        // What somebody has read is committed, acknowledged or not.
        const why = `what was acknowledged or read before ${callMs} contains`
        return [{ rule: 'strong', ...readAt(this.#all, callMs), why }]
      }
      case 'weak': {
        const floors: Floor[] = []
        const { leaderCommit } = output
        if (leaderCommit !== undefined) {
          const why = 'every leader had committed'
          floors.push({ rule: 'weak', index: leaderCommit, position: 0, why })
        }
        if (deposedMsMax !== undefined) {
          floors.push(this.#acknowledged('weak', callMs - deposedMsMax))
        }
        return floors
      }
      case 'lease':
        if (leaseMs === undefined) return []
        return [this.#acknowledged('lease', (output.answeredMs ?? callMs) - leaseMs)]
      case 'none':
        return []
    }
  }

  /** Whatever its level, a read runs on its node's own file, which never goes back. */
  #floorOfOrigin({ input, callMs }: AnsweredRead): Floor {
    const highest = this.#ofOrigin.get(input.origin)
    const at = highest === undefined ? { index: 0, position: 0 } : readAt(highest, callMs)
    return { rule: 'none', ...at, why: `${input.origin} itself had written or read by ${callMs}` }
  }

  #acknowledged(rule: LogRule, beforeMs: number): Floor {
    const why = `was acknowledged before ${beforeMs}`
    return { rule, ...readAt(this.#writes, beforeMs), why }
  }
}

function highestOf(ended: readonly Ended[]): Highest {
  return {
    index: new HighestBefore(
      ended.map(({ returnMs, index }) => ({ atMs: returnMs, value: index })),
    ),
    position: new HighestBefore(
      ended.map(({ returnMs, position }) => ({ atMs: returnMs, value: position })),
    ),
  }
}

function readAt({ index, position }: Highest, ms: number): { index: number; position: number } {
  return { index: index.before(ms), position: position.before(ms) }
}
