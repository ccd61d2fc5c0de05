import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'
import { until } from '../wait.ts'

/** Compresses well; what others write meanwhile is far less than it. */
const LARGE = `INSERT INTO large SELECT '${'large text that says the same again '.repeat(20_000)}'`

/**
 * Three nodes are replaced by a newer build, one after the other in the order given, while all
 * write. Commands of the newer format come once all read them; then no older build gets in again.
 */
export async function runUpgrade(order: readonly number[]): Promise<string> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  try {
    await cluster.makeLedger()
    await cluster.node(0).call('execute', 'CREATE TABLE large (text)')
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 2, { restMs: 20 })
    for (const [done, at] of order.entries()) {
      await cluster.untilAcknowledged(12)
      await checkEffective(cluster, 1)
      const plain = await largeInLog(cluster, at)
      assert.ok(plain > LARGE.length, `${plain} bytes of ${LARGE.length}`)
      await cluster.node(at).call('close')
      await cluster.node(at).kill()
      await cluster.startNode(at, 'newer')
      await cluster.startWriters(at, 2, { restMs: 20 })
      const { format } = await cluster.node(at).call('status')
      assert.equal(format.local, 2)
      if (done < order.length - 1) assert.equal(format.effective, 1)
    }
    await until('all write the newer format', async () => {
      return (await cluster.statuses()).every(({ format }) => format.effective === 2)
    })
    await cluster.untilAcknowledged(12)
    const packed = await largeInLog(cluster, order[0] as number)
    assert.ok(packed < LARGE.length / 2, `${packed} bytes of ${LARGE.length}`)
    await checkOlderIsRefused(cluster, order[0] as number)
    await cluster.untilAcknowledged(12)
    await cluster.stopWriters()
    const [content] = await cluster.checkContents()
    return (
      `nodes ${order.map((at) => at + 1).join(', ')}: ${content?.ids.length} writes, each once; ` +
      `${LARGE.length} bytes went into the log as ${packed} in the end`
    )
  } finally {
    await cluster.end()
  }
}

/** What it adds to the log of the node that it goes through, beside what others write. */
async function largeInLog(cluster: Cluster, at: number): Promise<number> {
  const node = cluster.node(at)
  const before = await node.call('appendedBytes')
  await node.call('execute', LARGE)
  return (await node.call('appendedBytes')) - before
}

async function checkEffective(cluster: Cluster, format: number): Promise<void> {
  for (const status of await cluster.statuses()) assert.equal(status.format.effective, format)
}

/** Its own data say which format is written, and so would the others. */
async function checkOlderIsRefused(cluster: Cluster, at: number): Promise<void> {
  await cluster.node(at).call('close')
  await cluster.node(at).kill()
  await assert.rejects(cluster.startNode(at), {
    code: 'ERR_UNSUPPORTED_FORMAT',
    message: /format 2; this version of colmena reads format 1/,
  })
  await cluster.node(at).kill()
  await cluster.startNode(at, 'newer')
}
