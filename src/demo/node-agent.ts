import {
  type ColmenaNode,
  type Database,
  isColmenaError,
  type ReaderStatement,
  type ResultSet,
} from '../index.ts'
import { measureLevels } from './levels.ts'
import {
  type FromNode,
  LOOKED_UP_IDS,
  type NodeCalls,
  type NodeFailure,
  PRUNED_ROWS,
  type ToNode,
  type WriteFate,
  type WriteOrder,
} from './node-messages.ts'

const REPORT_EVERY_MS = 250
/** News of what is applied are not sent more often: a fast cluster has hundreds a second. */
const APPLIED_EVERY_MS = 10
/** A learner, which elects nobody, knows by the silence alone that its leader is gone. */
const LEADER_SILENCE_MS_MAX = 3_000

type Handlers = {
  readonly [Name in keyof NodeCalls]: (
    ...args: Parameters<NodeCalls[Name]>
  ) => ReturnType<NodeCalls[Name]> | Promise<ReturnType<NodeCalls[Name]>>
}

// The id is not unique by declaration: a write that ran twice must be seen, not refused.
const SCHEMA = [
  'CREATE TABLE IF NOT EXISTS writes (id INTEGER NOT NULL, text TEXT NOT NULL)',
  'CREATE INDEX IF NOT EXISTS writes_id ON writes (id)',
] as const

/** Stands beside a node, in its process: writes, answers and tells for one who listens. */
export class NodeAgent {
  readonly #node: ColmenaNode
  readonly #database: Database
  readonly #tell: (message: FromNode) => void
  readonly #statements = new Map<string, ReaderStatement>()
  readonly #reports: NodeJS.Timeout
  readonly #handlers: Handlers = {
    makeTable: async () => {
      for (const sql of SCHEMA) await this.#database.execute(sql)
    },
    lastId: () => this.#lastId(),
    lookUp: (from) => this.#lookUp(from),
    barrier: async () => (await this.#database.execute('DELETE FROM writes WHERE id < 0')).index,
    prune: async (below) => {
      const sql =
        'DELETE FROM writes WHERE rowid IN ' +
        '(SELECT rowid FROM writes WHERE id < ? ORDER BY id, rowid LIMIT ?)'
      return (await this.#database.execute(sql, [below, PRUNED_ROWS])).rowsAffected
    },
    stepDown: () => this.#node.transferLeadership(),
    measureLevels: () => measureLevels(this.#database),
  }
  #appliedIndex = 0
  #appliedTimer: NodeJS.Timeout | null = null
  #fates: WriteFate[] = []
  #isClosed = false

  /** `tell` gets what happens from now on, the node's present state first. */
  constructor(node: ColmenaNode, tell: (message: FromNode) => void) {
    this.#node = node
    this.#database = node.database()
    this.#tell = (message) => {
      if (!this.#isClosed) tell(message)
    }
    node.on('leader', this.#onLeader)
    node.on('progress', this.#onProgress)
    this.#reports = setInterval(() => void this.#report(), REPORT_EVERY_MS)
    this.#tell({ kind: 'opened' })
    void this.#begin()
  }

  receive(message: Extract<ToNode, { kind: 'call' | 'write' }>): void {
    if (message.kind === 'call') void this.#answer(message)
    else for (const write of message.writes) void this.#execute(write)
  }

  /** Nobody listens any more. The node stays as it is. */
  close(): void {
    this.#isClosed = true
    this.#node.off('leader', this.#onLeader)
    this.#node.off('progress', this.#onProgress)
    clearInterval(this.#reports)
    if (this.#appliedTimer !== null) clearTimeout(this.#appliedTimer)
  }

  readonly #onLeader = ({ id, term }: { id: string | null; term: number }): void =>
    this.#tell({ kind: 'leader', leaderId: id, term })
  readonly #onProgress = ({ index }: { index: number }): void => this.#tellApplied(index)

  async #begin(): Promise<void> {
    const status = await this.#node.status().catch(() => null)
    if (status === null || this.#isClosed) return
    this.#onLeader({ id: status.leader?.id ?? null, term: status.term })
    this.#tellApplied(status.appliedIndex)
  }

  async #answer({ id, method, args }: Extract<ToNode, { kind: 'call' }>): Promise<void> {
    try {
      const handler = this.#handlers[method] as (...args: readonly unknown[]) => unknown
      this.#tell({ kind: 'answer', id, value: await handler(...args) })
    } catch (error) {
      this.#tell({ kind: 'failure', id, error: toFailure(error) })
    }
  }

  #lastId(): number | null {
    const hasTable = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = 'writes_id'"
    if (this.#prepare(hasTable).get() === undefined) return null
    return Number(this.#prepare('SELECT max(id) AS last FROM writes').get()?.['last'] ?? 0)
  }

  #lookUp(from: number): ReturnType<NodeCalls['lookUp']> {
    // Read first: what is found may be newer than the index, never older.
    const found = { appliedIndex: this.#appliedIndex, counts: new Uint8Array(LOOKED_UP_IDS) }
    const rows = this.#prepare(
      'SELECT id, min(count(*), 255) AS times FROM writes WHERE id >= ? AND id < ? GROUP BY id',
    )
    for (const { id, times } of rows.iterate([from, from + LOOKED_UP_IDS])) {
      found.counts[Number(id) - from] = Number(times)
    }
    return found
  }

  async #execute([id, text]: WriteOrder): Promise<void> {
    try {
      const sql = 'INSERT INTO writes (id, text) VALUES (?, ?)'
      this.#addFate(toFate(id, await this.#database.execute(sql, [id, text])))
    } catch (error) {
      const known = isColmenaError(error) ? error : null
      this.#addFate({
        id,
        outcome: known === null ? 'unknown' : toOutcome(known.outcome),
        index: known?.index ?? null,
        term: null,
        committedMs: null,
        appliedMs: null,
        error: known === null ? String(error) : known.message,
      })
    }
  }

  /** All that one turn of the event loop settled leaves in one message. */
  #addFate(fate: WriteFate): void {
    this.#fates.push(fate)
    if (this.#fates.length > 1) return
    setImmediate(() => {
      this.#tell({ kind: 'fates', fates: this.#fates })
      this.#fates = []
    })
  }

  #tellApplied(index: number): void {
    this.#appliedIndex = Math.max(this.#appliedIndex, index)
    if (this.#appliedTimer !== null) return
    this.#tell({ kind: 'applied', index: this.#appliedIndex })
    const told = this.#appliedIndex
    this.#appliedTimer = setTimeout(() => {
      this.#appliedTimer = null
      if (this.#appliedIndex > told) this.#tellApplied(this.#appliedIndex)
    }, APPLIED_EVERY_MS)
  }

  async #report(): Promise<void> {
    // A node that closes answers nothing more: its process ends soon.
    const status = await this.#node.status().catch(() => null)
    if (status === null) return
    const { leader, lastLeaderContactMs } = status
    const isHeard = (lastLeaderContactMs ?? Infinity) <= LEADER_SILENCE_MS_MAX
    this.#tell({
      kind: 'report',
      report: {
        role: status.role === 'precandidate' ? 'candidate' : status.role,
        isLearner: status.isLearner,
        term: status.term,
        leaderId: isHeard ? (leader?.id ?? null) : null,
        lastIndex: status.lastIndex,
        commitIndex: status.commitIndex,
        appliedIndex: status.appliedIndex,
        memoryBytes: process.memoryUsage.rss(),
        startedAt: Math.round(performance.timeOrigin),
        lastRow: this.#readLastRow(),
        haltedReason: status.haltedReason,
      },
    })
  }

  #readLastRow(): number {
    try {
      return Number(this.#prepare('SELECT max(rowid) AS last FROM writes').get()?.['last'] ?? 0)
    } catch {
      // There is no table yet.
      return 0
    }
  }

  #prepare(sql: string): ReaderStatement {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.reader.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

function toFate(id: number, { index, term, timing }: ResultSet): WriteFate {
  return {
    id,
    outcome: 'acknowledged',
    index,
    term: term ?? null,
    committedMs: timing?.committedMs ?? null,
    appliedMs: timing?.appliedMs ?? null,
    error: null,
  }
}

/** A write that is committed will be applied: its index says where to look for it. */
function toOutcome(outcome: 'not-applied' | 'committed' | 'unknown'): WriteFate['outcome'] {
  return outcome === 'committed' ? 'acknowledged' : outcome
}

/** An error as it crosses processes. */
export function toFailure(error: unknown): NodeFailure {
  if (!isColmenaError(error))
    return { code: 'ERR_FAILED', message: String(error), retryable: false }
  const { code, message, retryable } = error
  return { code, message, retryable }
}
