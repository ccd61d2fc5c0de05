import type { Clock } from '../base/ports.ts'
import type { SharedState } from '../base/shared-state.ts'
import { shortenSql } from '../base/short-sql.ts'
import { decodeWrite } from '../command/command.ts'
import type { MemberId } from '../raft/raft.ts'
import type { SlowTransaction } from './protocol.ts'
import type { Trials } from './trials.ts'

export interface TrialWatchOptions {
  readonly clock: Clock
  /** A statement that runs for longer is reported. */
  readonly statementMsMax: number
  /** Between two tries to let somebody else lead. */
  readonly handOverAgainMs: number
  readonly shared: Pick<SharedState, 'running'>
  readonly trials: Pick<Trials, 'stepUnderWay'>
  readonly nodeId: (id: MemberId) => string
  readonly warning: (code: string, message: string) => void
  /** Lets another node lead, if this one does. */
  readonly handOver: () => void
}

/**
 * Notices a statement of a transaction that takes too long. The transaction has its limits, but
 * SQLite can't be interrupted, and until the statement ends nothing is applied here. No other node
 * runs it: once its transaction is over, another one had better lead.
 */
export class TrialWatch {
  readonly #options: TrialWatchOptions
  /** The step and the statement of it that runs. */
  #step = 0
  #statement = 0
  #sinceMs = 0
  #handOverAtMs = 0
  /** The statement that takes too long, null while none does. */
  slow: SlowTransaction | null = null

  constructor(options: TrialWatchOptions) {
    this.#options = options
  }

  tick(): void {
    const { clock, statementMsMax, handOverAgainMs, shared, trials, handOver } = this.#options
    const { index, unit, statement } = shared.running()
    const step = index === 0 ? trials.stepUnderWay(unit) : null
    const nowMs = clock.nowMs()
    if (step === null || unit !== this.#step || statement !== this.#statement) {
      this.#step = unit
      this.#statement = statement
      this.#sinceMs = nowMs
      this.#handOverAtMs = 0
      this.slow = null
      return
    }
    if (nowMs - this.#sinceMs < statementMsMax) return
    this.slow ??= this.#report(step.from, step.bytes)
    if (!step.isOver || nowMs < this.#handOverAtMs) return
    this.#handOverAtMs = nowMs + handOverAgainMs
    handOver()
  }

  #report(from: MemberId, bytes: Uint8Array): SlowTransaction {
    const { nodeId: nameOf, statementMsMax, warning } = this.#options
    const { database, units } = decodeWrite(bytes)
    const statements = units.flatMap((unit) => unit.statements)
    const sql = shortenSql(statements[this.#statement]?.sql ?? 'nothing')
    const nodeId = nameOf(from)
    warning(
      'ERR_SLOW_TRANSACTION',
      `a transaction of node ${nodeId} has run one statement for more than ${statementMsMax} ms, ` +
        `and nothing is applied on this node meanwhile: in database '${database}': ${sql}`,
    )
    return { database, nodeId, sql }
  }
}
