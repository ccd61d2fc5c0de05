import type { Clock } from '../base/ports.ts'
import { shortenSql } from '../base/short-sql.ts'
import { commandKind, decodeWrite } from '../command/command.ts'
import type { Entry } from '../raft/raft.ts'

export interface ApplyWatchOptions {
  readonly clock: Clock
  /** A longer apply is reported. */
  readonly applyMsMax: number
  /** The first entry that is handed out and not applied, null for none. */
  readonly oldest: () => Entry | null
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

  constructor(options: ApplyWatchOptions) {
    this.#options = options
  }

  tick(): void {
    const { clock, applyMsMax, oldest, warning, stuck } = this.#options
    const entry = oldest()
    if (entry === null || entry.index !== this.#index) {
      this.#index = entry?.index ?? 0
      this.#sinceMs = clock.nowMs()
      this.#isTold = false
      return
    }
    if (this.#isTold || clock.nowMs() - this.#sinceMs < applyMsMax) return
    this.#isTold = true
    warning(
      'ERR_SLOW_APPLY',
      `applying entry ${entry.index} has taken more than ${applyMsMax} ms: ${describe(entry)}`,
    )
    stuck()
  }
}

/** What an entry asks for, in a few words. */
function describe({ type, data }: Entry): string {
  if (type !== 'normal') return 'a change of members'
  if (data.length === 0 || commandKind(data) !== 'write') return 'a control command'
  const { database, units } = decodeWrite(data)
  const sql = units.flatMap(({ statements }) => statements.map((statement) => statement.sql))
  const words = shortenSql(sql[0] ?? 'nothing')
  const others = sql.length > 1 ? ` and ${sql.length - 1} more statements` : ''
  return `in database '${database}': ${words}${others}`
}
