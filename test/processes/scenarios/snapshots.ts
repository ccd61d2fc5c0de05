import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'
import { until } from '../wait.ts'

export interface SnapshotsForm {
  /** What the databases hold beside the writes, so that copying them takes its time. */
  readonly ballastMib: number
}

const MIB = 1024 * 1024
const SEGMENT_BYTES = 256 * 1024

/**
 * A node that was away until its peers had dropped the log it needs comes back by a snapshot; the
 * writes through the others never fail, neither while it is away nor while it is sent.
 */
export async function runSnapshots({ ballastMib }: SnapshotsForm): Promise<string[]> {
  const cluster = await Cluster.start({
    logSegmentBytes: SEGMENT_BYTES,
    logRetainBytes: SEGMENT_BYTES,
  })
  try {
    await cluster.makeLedger()
    await fill(cluster, ballastMib)
    // The first leader: the copy that it made for those who joined holds its log for a while.
    const away = await cluster.leader()
    await cluster.untilEqual()
    const { appliedIndex } = await cluster.node(away).call('status')
    await cluster.node(away).kill()
    const leader = await cluster.leader()
    const other = 3 - leader - away
    await cluster.startWriters(leader, 8)
    await cluster.startWriters(other, 8)
    await until('the log that the absent node needs is gone', async () => {
      const { compactedIndex } = await cluster.node(leader).call('status')
      return compactedIndex > appliedIndex
    })

    await cluster.startNode(away)
    const before = cluster.ledger.counts.acknowledged
    const startedMs = performance.now()
    await until('the node has received a snapshot', async () => {
      const { counters } = await cluster.node(away).call('status')
      return counters.snapshotsReceived > 0
    })
    const during = cluster.ledger.counts.acknowledged - before
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    assert.ok(during > 0, 'writes went on while the snapshot was under way')

    await cluster.startWriters(away, 8)
    await cluster.untilAcknowledged(100)
    await cluster.stopWriters()
    assert.deepEqual(cluster.ledger.codes, {}, 'no write failed')
    const [content] = await cluster.checkContents()
    return [
      `a node came back by a snapshot of ${ballastMib} MiB and more in ${seconds} s; ` +
        `${during} writes were acknowledged meanwhile, none failed`,
      `${content?.ids.length} writes in each of the three files, each once; equal content`,
    ]
  } finally {
    await cluster.end()
  }
}

async function fill(cluster: Cluster, ballastMib: number): Promise<void> {
  const node = cluster.node(0)
  await node.call('execute', 'CREATE TABLE ballast (body BLOB)')
  for (let mib = 0; mib < ballastMib; mib += 1) {
    await node.call('execute', 'INSERT INTO ballast VALUES (randomblob(?))', [MIB])
  }
}
