import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'

export interface StallsForm {
  readonly blockMs: number
  readonly rows: number
}

const FILL = `
  INSERT INTO big (a, b)
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
  SELECT i, printf('%0150d', i * 7919 % 1000003) FROM n`

/**
 * Neither a user thread that does not come back nor a statement that keeps SQLite busy is a lost
 * leader: heartbeats come from a thread of their own.
 */
export async function runStalls({ blockMs, rows }: StallsForm): Promise<string[]> {
  const cluster = await Cluster.start({ electionTimeoutMs: 500, requestTimeoutMs: 60_000 })
  try {
    await cluster.makeLedger()
    const leader = await cluster.leader()
    const follower = (leader + 1) % 3
    const before = await cluster.terms()

    await cluster.startWriters(follower, 4, { restMs: 10 })
    const blocked = cluster.node(leader).call('block', blockMs)
    // Writes through another node go on while the leader's user thread hears nothing.
    let acknowledged = 0
    let isOver = false
    const over = blocked.then(() => {
      isOver = true
    })
    while (!isOver) {
      await cluster.untilAcknowledged(1)
      acknowledged += 1
    }
    await over
    assert.ok(acknowledged > 1, 'writes went on')
    await cluster.stopWriters()
    assert.deepEqual(await cluster.terms(), before, 'no election while a user thread was blocked')

    await cluster.node(follower).call('execute', 'CREATE TABLE big (a INTEGER, b TEXT)')
    await cluster.node(follower).call('execute', FILL, [rows])
    const startedMs = performance.now()
    await cluster.node(follower).call('execute', 'CREATE INDEX big_b ON big (b, a)')
    const indexMs = performance.now() - startedMs
    await cluster.untilEqual()
    assert.deepEqual(await cluster.terms(), before, 'no election while SQLite was busy')
    await cluster.checkContents()
    return [
      `the leader's user thread was blocked for ${blockMs} ms, and an index was made over ` +
        `${rows} rows in ${Math.round(indexMs)} ms: no election, terms ${before.join(', ')}`,
    ]
  } finally {
    await cluster.end()
  }
}
