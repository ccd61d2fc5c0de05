/** Three nodes that go through what `NODE_DEBUG=colmena` is to tell of: for debugging.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'

const directory = mkdtempSync(join(tmpdir(), 'colmena-node-'))

async function openOne(nodeId: string, more: Partial<OpenOptions>): Promise<ColmenaNode> {
  const dataDir = join(directory, nodeId)
  // No election but those that are asked for, however busy the machine is.
  const electionTimeoutMs = 3_000
  const bind = '127.0.0.1:0'
  return open({ nodeId, dataDir, bind, electionTimeoutMs, logSegmentBytes: 64 * 1024, ...more })
}

/** Looks again whenever the members change. */
async function untilVoters(node: ColmenaNode, count: number): Promise<void> {
  for (;;) {
    const changed = Promise.withResolvers<void>()
    node.once('membership', () => changed.resolve())
    const members = await node.members()
    if (members.filter(({ role }) => role === 'voter').length === count) return
    await changed.promise
  }
}

/** A voter that has not applied the last change of members yet takes nothing over. */
async function handOver(node: ColmenaNode, to: string): Promise<void> {
  for (let tries = 5; node.leader?.id !== to && tries > 0; tries -= 1) {
    await node.transferLeadership(to).catch(() => {})
    await node.waitForLeader()
  }
}

try {
  const ann = await openOne('ann', { bootstrap: true, logRetainBytes: 0 })
  const db = ann.database()
  await db.execute('CREATE TABLE t (v)')
  while ((await ann.status()).compactedIndex <= 1) {
    await db.execute('INSERT INTO t VALUES (?)', ['x'.repeat(20_000)])
  }
  const bea = await openOne('bea', { join: ann.address })
  const cid = await openOne('cid', { join: ann.address })
  await untilVoters(ann, 3)
  await handOver(ann, 'bea')
  const led = await ann.waitForLeader()
  console.log(`led by ${led.id}`)
  for (const node of [cid, bea, ann]) await node.close()
} finally {
  rmSync(directory, { recursive: true })
}
