/** A disk that fills up under one node: the others go on, nothing is lost, and space heals it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { Cluster } from './cluster.ts'
import type { RemoteError } from './node-handle.ts'
import { SmallDisk } from './small-disk.ts'
import { until } from './wait.ts'

const DISK_MIB = 24
const SEGMENT_BYTES = 256 * 1024
/** What may be answered to writes through a node that can't go on for now. */
const EXPECTED_CODES = ['ERR_APPLY_HALTED', 'ERR_LAGGING', 'ERR_NO_LEADER', 'ERR_TIMEOUT']

it('survives a full disk under a follower and under the leader', async (running) => {
  const directory = mkdtempSync(join(tmpdir(), 'colmena-disk-'))
  let disk: SmallDisk
  try {
    disk = new SmallDisk(join(directory, 'small'), DISK_MIB)
  } catch (error) {
    rmSync(directory, { recursive: true })
    running.skip(`a small disk can't be mounted here: ${(error as Error).message}`)
    return
  }
  const full = 1
  const cluster = await Cluster.start({
    dataDirs: { [full]: join(disk.path, 'data') },
    logSegmentBytes: SEGMENT_BYTES,
    logRetainBytes: SEGMENT_BYTES,
    requestTimeoutMs: 2_000,
  })
  try {
    await cluster.makeLedger()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 4, { restMs: 10 })
    await cluster.untilAcknowledged(50)

    await leadThrough(cluster, 0)
    await runFullDisk(cluster, disk, full)
    await leadThrough(cluster, full)
    await runFullDisk(cluster, disk, full)
    // The others took it from the full one, or it never had to let go.
    await cluster.leader()

    await cluster.stopWriters()
    for (const code of Object.keys(cluster.ledger.codes))
      assert.ok(EXPECTED_CODES.includes(code), code)
    running.diagnostic(`errors: ${JSON.stringify(cluster.ledger.codes)}`)
    await cluster.checkContents()
  } finally {
    await cluster.end()
    disk.unmount()
    rmSync(directory, { recursive: true, force: true })
  }
})

async function leadThrough(cluster: Cluster, at: number): Promise<void> {
  await until(`node ${at} leads`, async () => {
    const leader = await cluster.leader()
    if (leader === at) return true
    await cluster
      .node(leader)
      .call('transferLeadership', `node-${at + 1}`)
      .catch(() => {})
    return false
  })
}

/** Fills the disk, waits until the node says so, then gives it room again. */
async function runFullDisk(cluster: Cluster, disk: SmallDisk, at: number): Promise<void> {
  const node = cluster.node(at)
  const before = node.eventsOf('warning').length
  disk.fill()
  const warning = await until('the node says that its disk is full', () => {
    const warnings = node.eventsOf('warning').slice(before)
    return warnings.find(({ code }) => code === 'ERR_APPLY_HALTED' || code === 'ERR_DISK_FULL')
  })
  assert.match(warning.message, /full|room/)
  // The two others are a majority: they go on, whoever led.
  await until('another node leads', async () => (await cluster.leader()) !== at)
  for (let round = 0; round < 5; round += 1) await cluster.untilAcknowledged(20)
  // Who writes through the full node hears of it in time, and what became of the write.
  const failure = await until('a write through the full node fails', () =>
    node.call('execute', 'UPDATE total SET count = count WHERE id = 1').then(
      () => null,
      (error: RemoteError) => error,
    ),
  )
  assert.equal(failure.kind, 'ColmenaError')
  assert.ok(EXPECTED_CODES.includes(failure.code), failure.message)
  assert.ok(['not-applied', 'committed', 'unknown'].includes(failure.outcome ?? ''))
  assert.deepEqual(node.eventsOf('closed'), [], 'the node is still there')
  // Reads of what it has need no disk.
  await node.call('execute', 'SELECT count(*) FROM writes', [], { consistency: 'none' })

  disk.free()
  // All that was acknowledged meanwhile is here soon; until then a read may run into its deadline.
  await until('the node has caught up', () =>
    node.call('execute', 'SELECT count(*) FROM writes', [], { consistency: 'strong' }).then(
      () => true,
      () => false,
    ),
  )
  await until('it takes writes again', () =>
    node.call('execute', 'UPDATE total SET count = count WHERE id = 1').then(
      () => true,
      () => false,
    ),
  )
}
