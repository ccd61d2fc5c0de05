import { ColmenaError } from '../index.ts'
import type { Member } from './member.ts'
import type { Led, Seen } from './roll-call.ts'

/** A node that has not come to what all should have applied. */
export interface LaggingNode {
  readonly nodeId: string
  /** The last entry that it has applied; null where it does not say. */
  readonly appliedIndex: number | null
  /**
   * `behind`: it has not applied all; `different`: its databases are not known to be those of the
   * others; `silent`: it runs and does not answer; `failed`: it ended by itself, or did not open.
   */
  readonly reason: 'behind' | 'different' | 'silent' | 'failed'
}

/** Of `waitForConvergence`: not all nodes came to have applied the same in time. */
export class ConvergenceError extends ColmenaError {
  override readonly name: string = 'ConvergenceError'
  /** What all should have applied; null where no node led that could say so. */
  readonly targetIndex: number | null
  /** In the order of their numbers. */
  readonly lagging: readonly LaggingNode[]

  constructor(
    message: string,
    { targetIndex, lagging }: Pick<ConvergenceError, 'targetIndex' | 'lagging'>,
  ) {
    super('ERR_TIMEOUT', message, { retryable: true })
    this.targetIndex = targetIndex
    this.lagging = lagging
  }
}

/** What one wait for convergence has seen so far. */
export class Convergence {
  #goal: { readonly term: number; readonly index: number } | null = null
  #lagging: readonly LaggingNode[] = []

  /** Whether all that should run have applied what the leader's log held at the first look. */
  judge(led: Led | null, seen: readonly Seen[], members: readonly Member[]): boolean {
    if (led !== null) {
      const { term, lastIndex } = led.leader.status
      // What an earlier leader had alone may never be committed.
      if (this.#goal?.term !== term) this.#goal = { term, index: lastIndex }
    }
    this.#lagging = members.flatMap((member) => {
      const found = seen.find(({ id }) => id === member.id)
      const lagging = found === undefined ? judgeUnseen(member) : this.#judgeSeen(found)
      return lagging === null ? [] : [lagging]
    })
    return led !== null && this.#lagging.length === 0
  }

  /** Who lags, and where: 'node-3 has applied 5 of 9'. */
  describe(): string {
    if (this.#goal === null) return 'no node came to lead, and to say what all should have applied'
    const { index } = this.#goal
    if (this.#lagging.length === 0) return `no node led any more, though all had applied ${index}`
    const whos = this.#lagging.map(({ nodeId, appliedIndex, reason }) => {
      if (reason === 'behind') return `${nodeId} had applied ${appliedIndex} of ${index}`
      if (reason === 'different') return `${nodeId} was not known to have what the others have`
      return reason === 'silent' ? `${nodeId} did not answer` : `${nodeId} had failed`
    })
    return whos.join(', ')
  }

  toError(message: string): ConvergenceError {
    const targetIndex = this.#goal?.index ?? null
    return new ConvergenceError(message, { targetIndex, lagging: this.#lagging })
  }

  #judgeSeen({ id: nodeId, status: { appliedIndex, divergence } }: Seen): LaggingNode | null {
    if (this.#goal === null || appliedIndex < this.#goal.index) {
      return { nodeId, appliedIndex, reason: 'behind' }
    }
    if (divergence.reason === null && divergence.undecided === null) return null
    return { nodeId, appliedIndex, reason: 'different' }
  }
}

/** One that was killed or closed is not waited for: that was meant. */
function judgeUnseen({ id: nodeId, node, hasFailed }: Member): LaggingNode | null {
  if (node === null && !hasFailed) return null
  return { nodeId, appliedIndex: null, reason: hasFailed ? 'failed' : 'silent' }
}
