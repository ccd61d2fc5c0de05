import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster } from '../cluster.ts'
import type { ReadChange } from '../protocol.ts'
import { until } from '../wait.ts'
import { handOn } from './transactions.ts'

export interface ChangesForm {
  /** Of the node that reads the changes; each time another one goes on from there. */
  readonly kills: number
}

type Values = Readonly<Record<string, unknown>>

const SCHEMA =
  'CREATE TABLE rows (id INTEGER PRIMARY KEY, value INTEGER NOT NULL, note TEXT, data BLOB)'
const IDS = 40
const HAND_ON_EVERY = 3
const UPSERT =
  "INSERT INTO rows VALUES (?, 1, 'made', randomblob(8)), (? + 1, 1, 'made', NULL) " +
  'ON CONFLICT DO UPDATE SET value = value + 1'
// Each row that a statement counts becomes another one: what stays as it was is no change.
const RENOTE = 'UPDATE rows SET note = hex(randomblob(6)) WHERE id % 7 = ? % 7'
const DELETE = 'DELETE FROM rows WHERE id BETWEEN ? AND ? + 3'
const STATEMENTS = [UPSERT, RENOTE, DELETE, UPSERT, RENOTE] as const

/**
 * Three nodes change rows while the one that reads the changes is killed, over and over, and the
 * leadership is handed on. What was read up to a kill is gone on from on the next node: each change
 * must follow from those before it, no acknowledged write may be missing, and all of them together
 * are the rows in the end.
 */
export async function runChanges({ kills }: ChangesForm): Promise<string[]> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  const writers = new RowWriters(cluster)
  try {
    await cluster.node(0).call('makeKept', SCHEMA)
    const union = new Union()
    const running = [0, 1, 2].map((at) => writers.write(at))
    let handOns = 0
    for (let kill = 1; kill <= kills; kill += 1) {
      const at = kill % 3
      const node = cluster.node(at)
      await node.call('startChanges', 'rows', union.index)
      // Cut off amid an entry as well as between two.
      await until('changes are read', () => node.changes.length > (kill * 7) % 13)
      if (kill % HAND_ON_EVERY === 0) {
        await handOn(cluster, await cluster.leader())
        handOns += 1
      }
      await node.kill()
      union.add(node.changes)
      await cluster.startNode(at)
    }
    writers.stop()
    await Promise.all(running)
    await cluster.untilEqual()
    const reader = cluster.node(0)
    const { rows } = await reader.call('execute', 'SELECT * FROM rows ORDER BY id')
    const last = Math.max(...writers.indexes)
    await reader.call('startChanges', 'rows', union.index)
    await until('all changes are read', () => {
      return (
        union.index >= last || reader.changes.some(({ index, isLast }) => isLast && index >= last)
      )
    })
    union.add(reader.changes)
    assert.deepEqual(union.rows, rows, 'all changes together are the rows')
    const missing = writers.indexes.filter((index) => !union.indexes.has(index))
    assert.deepEqual(missing, [], 'indexes of acknowledged writes that no change has')
    return [
      `${kills} kills of the reading node, ${handOns} changes of the leader by hand`,
      `${writers.indexes.length} acknowledged writes that changed rows, ${union.count} changes ` +
        `of ${union.indexes.size} entries, in order, each following from those before it`,
      `all of them together are the ${rows.length} rows in the end`,
    ]
  } finally {
    writers.stop()
    await cluster.end()
  }
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
      const sql = STATEMENTS[count % STATEMENTS.length] as string
      const id = (count * 17) % IDS
      const args = sql === RENOTE ? [id] : [id, id]
      try {
        const { index, rowsAffected } = await this.#cluster.node(at).call('execute', sql, args)
        if (rowsAffected > 0) this.indexes.push(index)
      } catch {
        // Killed, not open yet, or without a leader: what became of it the changes tell.
        await pause(10)
      }
    }
  }
}
