import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster } from '../cluster.ts'
import type { ReadChange, WriteWay, Written } from '../protocol.ts'
import { until } from '../wait.ts'
import { handOn } from './transactions.ts'

export interface ChangesForm {
  /** Of the node that reads the changes; each time another one goes on from there. */
  readonly kills: number
  /** All kills must be done within it. */
  readonly durationMsMax: number
  /** Told how far it is, now and then. */
  readonly progress?: ((line: string) => void) | undefined
}

type Values = Readonly<Record<string, unknown>>
type Args = readonly unknown[]

const SCHEMA =
  'CREATE TABLE rows (id INTEGER PRIMARY KEY, value INTEGER NOT NULL, note TEXT, data BLOB)'
const IDS = 40
const HAND_ON_EVERY = 3
/** Between two of these a reader may be far behind when it is killed. */
const CATCH_UP_EVERY = 5
const PROGRESS_EVERY = 25
const UPSERT =
  "INSERT INTO rows VALUES (?, 1, 'made', randomblob(8)), (? + 1, 1, 'made', NULL) " +
  'ON CONFLICT DO UPDATE SET value = value + 1'
// Each row that a statement counts becomes another one: what stays as it was is no change.
const RENOTE = 'UPDATE rows SET note = hex(randomblob(6)) WHERE id % 7 = ? % 7'
const DELETE = 'DELETE FROM rows WHERE id BETWEEN ? AND ? + 3'
const DELETE_ALL = 'DELETE FROM rows'
/** The last two must leave nothing. */
const WAYS = 8

/**
 * Three nodes change rows in each way that there is, while the one that reads the changes is
 * killed, over and over, and the leadership is handed on. The next node goes on from what was read
 * up to a kill: each change must follow from those before it, no acknowledged write may be missing,
 * and all of them together are the rows in the end.
 */
export async function runChanges(form: ChangesForm): Promise<string> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  const writers = new RowWriters(cluster)
  const startedMs = performance.now()
  try {
    await cluster.node(0).call('makeKept', SCHEMA)
    const [firstTerm = 0] = await cluster.terms()
    const running = [0, 1, 2].map((at) => writers.write(at))
    const union = new Union()
    await killReaders(cluster, writers, union, form)
    writers.stop()
    await Promise.all(running)
    await cluster.untilEqual()
    const rows = await readToTheEnd(cluster, writers, union)
    assert.deepEqual(union.rows, rows, 'all changes together are the rows')
    assert.deepEqual(writers.wrongIndexes, [], 'indexes of what must leave nothing')
    const missing = writers.indexes.filter((index) => !union.indexes.has(index))
    assert.deepEqual(missing, [], 'indexes of acknowledged writes that no change has')
    const terms = Math.max(...(await cluster.terms())) - firstTerm
    return (
      `${form.kills} kills of the reading node, ${terms} new terms, ` +
      `${((performance.now() - startedMs) / 1000).toFixed(1)} s: ${union.count} changes of ` +
      `${union.indexes.size} entries in order, each following from those before it; all ` +
      `${writers.indexes.length} acknowledged writes are among them, none of ` +
      `${writers.undoneCount} that were rolled back or fenced off; their union is the ` +
      `${rows.length} rows in the end`
    )
  } finally {
    writers.stop()
    await cluster.end()
  }
}

async function killReaders(
  cluster: Cluster,
  writers: RowWriters,
  union: Union,
  { kills, durationMsMax, progress }: ChangesForm,
): Promise<void> {
  const startedMs = performance.now()
  for (let kill = 1; kill <= kills; kill += 1) {
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs < durationMsMax, `${kill - 1} of ${kills} kills in ${durationMsMax / 1000} s`)
    const at = kill % 3
    const node = cluster.node(at)
    const caughtUp = kill % CATCH_UP_EVERY === 0 ? (writers.indexes.at(-1) ?? 0) : 0
    await node.call('startChanges', 'rows', union.index)
    // Cut off amid an entry as well as between two.
    await until('changes are read', () => {
      const { length } = node.changes
      return length > (kill * 7) % 13 && (node.changes.at(-1)?.index ?? 0) >= caughtUp
    })
    if (kill % HAND_ON_EVERY === 0) await handOn(cluster, await cluster.leader())
    await node.kill()
    union.add(node.changes)
    await cluster.startNode(at)
    if (kill % PROGRESS_EVERY > 0) continue
    progress?.(
      `${kill} of ${kills} kills, ${union.count} changes read, ${writers.indexes.length} writes ` +
        `acknowledged, ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
    )
  }
}

/** Joins what is left to the union; the rows that there are. */
async function readToTheEnd(
  cluster: Cluster,
  writers: RowWriters,
  union: Union,
): Promise<readonly Values[]> {
  const reader = cluster.node(0)
  const { rows } = await reader.call('execute', 'SELECT * FROM rows ORDER BY id')
  const last = writers.indexes.reduce((a, b) => Math.max(a, b), 0)
  await reader.call('startChanges', 'rows', union.index)
  await until('all changes are read', () => {
    return (
      union.index >= last || reader.changes.some(({ index, isLast }) => isLast && index >= last)
    )
  })
  union.add(reader.changes)
  return rows
}

/** What was read, of which only whole entries count: the rest is read again. */
class Union {
  readonly indexes = new Set<number>()
  readonly #rows = new Map<unknown, Values>()
  index = 0
  count = 0

  add(changes: readonly ReadChange[]): void {
    const end = changes.findLastIndex(({ isLast }) => isLast) + 1
    let { index } = this
    for (const change of changes.slice(0, end)) {
      assert.equal(change.error, undefined)
      assert.ok(change.index > this.index && change.index >= index, 'changes come in order')
      index = change.index
      this.indexes.add(index)
      this.count += 1
      if (change.kind === 'schema') continue
      const { before, after } = change
      const id = (before ?? after)?.['id']
      assert.deepEqual(this.#rows.get(id) ?? null, before, `row ${id} before index ${index}`)
      if (after === null) this.#rows.delete(id)
      else this.#rows.set(id, after)
    }
    this.index = index
    assert.equal(changes.at(-1)?.error, undefined)
  }

  get rows(): readonly Values[] {
    return [...this.#rows.values()].sort((a, b) => Number(a['id']) - Number(b['id']))
  }
}

/** Changes rows through each node that runs, and keeps the indexes of what is acknowledged. */
class RowWriters {
  readonly indexes: number[] = []
  /** Where something was written that must not be. */
  readonly wrongIndexes: number[] = []
  /** Transactions that were rolled back, and writes behind a lock that nobody has. */
  undoneCount = 0
  readonly #cluster: Cluster
  #isStopping = false

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  stop(): void {
    this.#isStopping = true
  }

  async write(at: number): Promise<void> {
    for (let count = at; !this.#isStopping; count += 3) {
      try {
        const { rowsAffected, index } = await this.#writeOne(at, count)
        if (count % WAYS < WAYS - 2) {
          if (rowsAffected > 0) this.indexes.push(index)
        } else {
          this.undoneCount += 1
          if (index > 0) this.wrongIndexes.push(index)
        }
      } catch {
        // Killed, not open yet, or without a leader: what became of it the changes tell.
        await pause(10)
      }
    }
  }

  #writeOne(at: number, count: number): Promise<Written> {
    const id = (count * 17) % IDS
    const upsert = [UPSERT, [id, id]] as const
    const renote = [RENOTE, [id]] as const
    switch (count % WAYS) {
      case 0:
      case 4:
        return this.#all(at, 'execute', [upsert])
      case 1:
        return this.#all(at, 'execute', [renote])
      case 2:
        return this.#all(at, 'execute', [[DELETE, [id, id]]])
      case 3:
        return this.#all(at, 'batch', [upsert, renote])
      case 5:
        return this.#all(at, 'commit', [renote, upsert])
      case 6:
        return this.#all(at, 'rollback', [upsert, [DELETE_ALL, []]])
      default:
        return this.#all(at, 'fencedOff', [[DELETE_ALL, []]])
    }
  }

  #all(
    at: number,
    way: WriteWay,
    statements: readonly (readonly [string, Args])[],
  ): Promise<Written> {
    return this.#cluster.node(at).call('write', way, statements)
  }
}
