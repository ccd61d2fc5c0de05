import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'

export interface TransactionsForm {
  /** Changes of the leader, of which every fifth is a kill. */
  readonly changes: number
}

const WRITERS_PER_NODE = 2
const KILL_EVERY = 5

/**
 * Three nodes count in one row, by transactions that read it first, while the leadership is handed
 * on or the leader is killed, over and over. The row must say how many were acknowledged, and
 * nobody but a node that was killed may leave a transaction of which nothing is known.
 */
export async function runTransactions({ changes }: TransactionsForm): Promise<string[]> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  try {
    await cluster.makeLedger()
    for (const at of [0, 1, 2])
      await cluster.startWriters(at, WRITERS_PER_NODE, { way: 'transaction' })
    const startedMs = performance.now()
    let kills = 0
    for (let change = 1; change <= changes; change += 1) {
      await cluster.untilAcknowledged(WRITERS_PER_NODE)
      const at = await cluster.leader()
      if (change % KILL_EVERY > 0) {
        await handOn(cluster, at)
        continue
      }
      await cluster.node(at).kill()
      kills += 1
      await cluster.untilAcknowledged(WRITERS_PER_NODE)
      await cluster.startNode(at)
      await cluster.startWriters(at, WRITERS_PER_NODE, { way: 'transaction' })
    }
    const seconds = (performance.now() - startedMs) / 1000
    await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
    await cluster.stopWriters()
    const contents = await cluster.checkContents()
    const { acknowledged, unknown, committed, 'not-applied': refused } = cluster.ledger.counts
    // What a killed process could not tell any more is in no count.
    assert.equal(unknown, 0, `told by nodes that lived: ${JSON.stringify(cluster.ledger.codes)}`)
    return [
      `${changes} changes of the leader in ${seconds.toFixed(1)} s, ${kills} of them kills`,
      `${acknowledged} transactions acknowledged, ${committed} reported as committed late, ` +
        `${refused} refused, ${unknown} of unknown outcome on a node that lived`,
      `errors: ${JSON.stringify(cluster.ledger.codes)}`,
      `the row says ${contents[0]?.total} on all three, and so many rows are there, each once`,
    ]
  } finally {
    await cluster.end()
  }
}

/** To the next voter; one that just lost or is losing its leadership has nothing to hand on. */
export async function handOn(cluster: Cluster, at: number): Promise<void> {
  const other = (at + 1) % 3
  const to = cluster.optionsOf(other).nodeId as string
  const passing = ['ERR_NO_LEADER', 'ERR_INVALID_ARGUMENT', 'ERR_TIMEOUT', 'ERR_BUSY']
  await cluster
    .node(at)
    .call('transferLeadership', to)
    .catch((error: { code: string }) => assert.ok(passing.includes(error.code), error.code))
}
