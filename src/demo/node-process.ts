/** One node of the demo in a process of its own; the supervisor tells it over IPC what to do. */
import {
  type ColmenaNode,
  type Database,
  isColmenaError,
  open,
  type ReaderStatement,
  type ResultSet,
} from '../index.ts'
import {
  type FromNode,
  LOOKED_UP_IDS,
  type NodeCalls,
  type NodeFailure,
  nowMs,
  type ToNode,
  type WriteFate,
  type WriteOrder,
} from './ipc.ts'
import { measureLevels } from './levels.ts'

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

const statements = new Map<string, ReaderStatement>()
let opened: ColmenaNode | null = null
let appliedIndex = 0
let appliedTimer: NodeJS.Timeout | null = null
let fates: WriteFate[] = []

const handlers: Handlers = {
  open: async (options) => {
    const node = await open(options)
    opened = node
    node.on('leader', ({ id, term }) => tell({ kind: 'leader', leaderId: id, term }))
    node.on('progress', ({ index }) => tellApplied(index))
    node.on('closed', ({ cause }) => endWith(cause))
    tellApplied((await node.status()).appliedIndex)
    setInterval(() => void report(node), REPORT_EVERY_MS)
  },
  makeTable: async () => {
    for (const sql of SCHEMA) await database().execute(sql)
  },
  readIds: () => {
    const row = prepare('SELECT min(id) AS first, max(id) AS last FROM writes').get()
    return row?.['first'] == null
      ? null
      : { first: Number(row['first']), last: Number(row['last']) }
  },
  lookUp: (from) => {
    // Read first: what is found may be newer than the index, never older.
    const found = { appliedIndex, counts: new Uint8Array(LOOKED_UP_IDS) }
    const rows = prepare(
      'SELECT id, min(count(*), 255) AS times FROM writes WHERE id >= ? AND id < ? GROUP BY id',
    )
    for (const { id, times } of rows.iterate([from, from + LOOKED_UP_IDS])) {
      found.counts[Number(id) - from] = Number(times)
    }
    return found
  },
  barrier: async () => (await database().execute('DELETE FROM writes WHERE id < 0')).index,
  prune: async (below) => {
    await database().execute('DELETE FROM writes WHERE id < ?', [below])
  },
  stepDown: () => node().transferLeadership(),
  measureLevels: () => measureLevels(database()),
}

process.on('message', (message: ToNode) => {
  if (message.kind === 'call') void answer(message)
  else for (const write of message.writes) void execute(write)
})
// A terminal's Ctrl-C reaches all processes at once: the supervisor ends this one.
process.on('SIGINT', () => {})
// The supervisor is gone. Not by exit(), which a statement that runs would hold up.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))

async function answer({ id, method, args }: Extract<ToNode, { kind: 'call' }>): Promise<void> {
  try {
    const handler = handlers[method] as (...args: readonly unknown[]) => unknown
    tell({ kind: 'answer', id, value: await handler(...args) })
  } catch (error) {
    tell({ kind: 'failure', id, error: toFailure(error) })
  }
}

async function execute([id, text]: WriteOrder): Promise<void> {
  const receivedAt = nowMs()
  try {
    const sql = 'INSERT INTO writes (id, text) VALUES (?, ?)'
    const result = await database().execute(sql, [id, text])
    addFate(toFate(id, receivedAt, result))
  } catch (error) {
    const known = isColmenaError(error) ? error : null
    addFate({
      id,
      receivedAt,
      outcome: known === null ? 'unknown' : toOutcome(known.outcome),
      index: known?.index ?? null,
      term: null,
      committedMs: null,
      appliedMs: null,
      error: known === null ? String(error) : known.message,
    })
  }
}

function toFate(id: number, receivedAt: number, { index, term, timing }: ResultSet): WriteFate {
  return {
    id,
    receivedAt,
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

/** All that one turn of the event loop settled leaves in one message. */
function addFate(fate: WriteFate): void {
  fates.push(fate)
  if (fates.length > 1) return
  setImmediate(() => {
    tell({ kind: 'fates', fates })
    fates = []
  })
}

function tellApplied(index: number): void {
  appliedIndex = Math.max(appliedIndex, index)
  if (appliedTimer !== null) return
  tell({ kind: 'applied', index: appliedIndex, at: nowMs() })
  const told = appliedIndex
  appliedTimer = setTimeout(() => {
    appliedTimer = null
    if (appliedIndex > told) tellApplied(appliedIndex)
  }, APPLIED_EVERY_MS)
}

async function report(node: ColmenaNode): Promise<void> {
  // A node that closes answers nothing more: `closed` tells.
  const status = await node.status().catch(() => null)
  if (status === null) return
  const { leader, lastLeaderContactMs } = status
  const isHeard = (lastLeaderContactMs ?? Infinity) <= LEADER_SILENCE_MS_MAX
  tell({
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
      lastRow: readLastRow(),
      haltedReason: status.haltedReason,
    },
  })
}

function readLastRow(): number {
  try {
    return Number(prepare('SELECT max(rowid) AS last FROM writes').get()?.['last'] ?? 0)
  } catch {
    // There is no table yet.
    return 0
  }
}

function prepare(sql: string): ReaderStatement {
  let statement = statements.get(sql)
  if (statement === undefined) {
    statement = database().reader.prepare(sql)
    statements.set(sql, statement)
  }
  return statement
}

function endWith(cause: unknown): void {
  process.stderr.write(`a node of the demo ended: ${String(cause)}\n`)
  process.kill(process.pid, 'SIGKILL')
}

function toFailure(error: unknown): NodeFailure {
  if (!isColmenaError(error))
    return { code: 'ERR_FAILED', message: String(error), retryable: false }
  const { code, message, retryable } = error
  return { code, message, retryable }
}

function database(): Database {
  return node().database()
}

function node(): ColmenaNode {
  if (opened === null) throw new Error('this process has opened no node yet')
  return opened
}

function tell(message: FromNode): void {
  // While the supervisor ends there is nobody to tell.
  if (process.connected) process.send?.(message)
}
