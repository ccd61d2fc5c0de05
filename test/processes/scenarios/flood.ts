import assert from 'node:assert/strict'
import { Cluster } from '../cluster.ts'
import { FLOOD_SCHEMA } from '../flood.ts'
import type { FloodReport } from '../protocol.ts'
import { until } from '../wait.ts'

export interface FloodForm {
  readonly durationMs: number
  readonly through: 'leader' | 'follower'
}

const WRITERS = 1_024
const BODY_BYTES = 24 * 1024
const MEMORY_MB_MAX = 400
const MB = 1_000_000

/**
 * More writers than a node can take: what is too much is refused at once with an error that says
 * "later", what is taken is kept, and the node's memory has a bound.
 */
export async function runFlood({ durationMs, through }: FloodForm): Promise<string[]> {
  const cluster = await Cluster.start()
  try {
    await cluster.node(0).call('execute', FLOOD_SCHEMA)
    const leader = await cluster.leader()
    const flooded = cluster.node(through === 'leader' ? leader : (leader + 1) % 3)
    await flooded.call('startFlood', { count: WRITERS, bodyBytes: BODY_BYTES })
    const startedMs = performance.now()
    await until('the flood has lasted', () => performance.now() - startedMs > durationMs, 600_000)
    const report = await flooded.call('stopFlood')
    const memoriesMb = await Promise.all(
      cluster.nodes.map(async (node) => (await node.call('peakMemoryBytes')) / MB),
    )
    await checkCounts(cluster, report)
    const refusals = Object.keys(report.failures)
    assert.ok(refusals.includes('ERR_BUSY not-applied retryable'), 'the bound was met')
    for (const refusal of refusals) assert.match(refusal, /retryable/, 'each refusal says "later"')
    for (const memoryMb of memoriesMb) assert.ok(memoryMb < MEMORY_MB_MAX, `${memoryMb} MB`)
    return [
      `${WRITERS} writers of ${BODY_BYTES / 1024} KiB each for ${durationMs / 1000} s through ` +
        `the ${through}: ${sum(report.acknowledged)} acknowledged and there, each once`,
      `refused: ${JSON.stringify(report.failures)}`,
      `most memory of each node: ${memoriesMb.map((memory) => Math.round(memory)).join(', ')} MB`,
    ]
  } finally {
    await cluster.end()
  }
}

/** Each writer's row counts what it was told was written, and at most what it can't know. */
async function checkCounts(cluster: Cluster, report: FloodReport): Promise<void> {
  await cluster.untilEqual()
  for (const node of cluster.nodes) {
    const { rows } = await node.call('execute', 'SELECT writer, count FROM flood', [], {
      consistency: 'none',
    })
    const counts = new Map(rows.map(({ writer, count }) => [Number(writer), Number(count)]))
    for (const [writer, acknowledged] of report.acknowledged.entries()) {
      const count = counts.get(writer) ?? 0
      assert.ok(count >= acknowledged, `writer ${writer}: ${count} of ${acknowledged} are there`)
      assert.ok(count <= acknowledged + (report.unknown[writer] ?? 0), `writer ${writer}: twice`)
    }
  }
}

function sum(counts: readonly number[]): number {
  return counts.reduce((a, b) => a + b, 0)
}
