import type { Clock } from '../base/ports.ts'
import type { RunningStatement, SharedState } from '../base/shared-state.ts'
import { shortenSql } from '../base/short-sql.ts'
import { commandKind, decodeWrite } from '../command/command.ts'
import type { Entry } from '../raft/raft.ts'
import type { SlowApply } from './protocol.ts'

export interface ApplyWatchOptions {
  readonly clock: Clock
  /** A longer apply is reported. */
  readonly applyMsMax: number
  readonly shared: Pick<SharedState, 'applied' | 'running'>
  /** The first entry behind an index that is handed out and not applied, null for none. */
  readonly oldestAfter: (index: number) => Entry | null
  readonly warning: (code: string, message: string) => void
  /** Said once for an entry: this node is not the one to wait for. */
  readonly stuck: () => void
}

/**
 * Notices an entry that takes too long: SQLite can't be interrupted, so all that can be done is to
 * say which statement it is and to let somebody else lead. Once per entry: where all nodes are at
 * the same statement, handing over again and again would help nobody.
 */
export class ApplyWatch {
  readonly #options: ApplyWatchOptions
  #index = 0
  #sinceMs = 0
  #isTold = false
  /** The entry that takes too long, null while none does. */
  slow: SlowApply | null = null

  constructor(options: ApplyWatchOptions) {
    this.#options = options
  }

  tick(): void {
    const { clock, applyMsMax, shared, oldestAfter, warning, stuck } = this.#options
    // Many entries are applied together: the one whose statements run is the one that lasts.
    const running = shared.running()
    // Nor is it an entry's time while a transaction is tried: all entries wait behind that.
    const isTrial = running.index === 0 && running.unit !== 0
    const entry = isTrial ? null : oldestAfter(Math.max(shared.applied(), running.index - 1))
    if (entry === null || entry.index !== this.#index) {
      this.#index = entry?.index ?? 0
      this.#sinceMs = clock.nowMs()
      this.#isTold = false
      this.slow = null
      return
    }
    if (this.#isTold || clock.nowMs() - this.#sinceMs < applyMsMax) return
    this.#isTold = true
    const { database, sql } = describe(entry, running)
    this.slow = { index: entry.index, database, sql }
    const where = database === null ? '' : `in database '${database}': `
    warning(
      'ERR_SLOW_APPLY',
      `applying entry ${entry.index} has taken more than ${applyMsMax} ms: ${where}${sql}`,
    )
    stuck()
  }
}

/** Where an entry does what. */
function describe(
  { index, type, data }: Entry,
  running: RunningStatement,
): Pick<SlowApply, 'database' | 'sql'> {
  if (type !== 'normal') return { database: null, sql: 'a change of members' }
  if (data.length === 0 || commandKind(data) !== 'write') {
    return { database: null, sql: 'a control command' }
  }
  const { database, units } = decodeWrite(data)
  const unit = running.index === index ? running.unit : 0
  const statement = running.index === index ? running.statement : 0
  const { compacts, statements } = units[unit] ?? { statements: [] }
  const sql = compacts ? 'VACUUM' : (statements[statement]?.sql ?? 'nothing')
  return { database, sql: shortenSql(sql) }
}
