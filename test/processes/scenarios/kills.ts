import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'

export interface KillsForm {
  readonly durationMs: number
  readonly killsMin: number
  /** Of each writer after a write. */
  readonly restMs: number
}

const WRITERS_PER_NODE = 4

/**
 * Three nodes take writes while whichever of them leads is killed and started again, over and over.
 * Every write that was acknowledged must be there once, and what was refused must not.
 */
export async function runKills({ durationMs, killsMin, restMs }: KillsForm): Promise<string[]> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  try {
    await cluster.makeLedger()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, WRITERS_PER_NODE, { restMs })
    const startedMs = performance.now()
    let kills = 0
    while (kills < killsMin || performance.now() - startedMs < durationMs) {
      await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
      const at = await cluster.leader()
      await cluster.node(at).kill()
      kills += 1
      // The two others have to find a leader by themselves.
      await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
      await cluster.startNode(at)
      await cluster.startWriters(at, WRITERS_PER_NODE, { restMs })
    }
    const seconds = (performance.now() - startedMs) / 1000
    await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
    await cluster.stopWriters()
    const contents = await cluster.checkContents()
    const { acknowledged, committed, unknown, 'not-applied': refused } = cluster.ledger.counts
    assert.ok(kills >= killsMin)
    return [
      `${kills} leaders killed in ${seconds.toFixed(1)} s of writes through all three nodes`,
      `${acknowledged} writes acknowledged, ${committed} reported as committed late, ` +
        `${refused} refused, ${unknown} of unknown outcome`,
      `errors: ${JSON.stringify(cluster.ledger.codes)}`,
      `${contents[0]?.ids.length} writes in each of the three files, each once; equal content, ` +
        `SHA-256 ${contents[0]?.hash}`,
    ]
  } finally {
    await cluster.end()
  }
}
