import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { directoryTarget } from '../../../src/backup/backup.ts'
import { restoreNode } from '../../../src/index.ts'
import { Cluster } from '../cluster.ts'
import { type Content, readContent } from '../content.ts'
import { until } from '../wait.ts'

export interface BackupsForm {
  readonly kills: number
  /** Of each writer after a write. */
  readonly restMs: number
}

const WRITERS_PER_NODE = 2
const SYNC_MS = 300
const OPTIONS = {
  syncIntervalMs: SYNC_MS,
  snapshotIntervalMs: 1_500,
  drills: { everyMs: 0 },
} as const

/**
 * Three nodes with a backup take writes while whichever of them leads, and ships, is killed and
 * started again. What the target holds at the moment of a kill has all that the status told to be
 * there; in the end it has all that was acknowledged, in one generation.
 */
export async function runBackups({ kills, restMs }: BackupsForm): Promise<string[]> {
  const cluster = await Cluster.start({ heartbeatMs: 50, electionTimeoutMs: 400 })
  try {
    const folder = join(cluster.directory, 'backup')
    await cluster.makeLedger()
    for (const at of [0, 1, 2]) {
      await cluster.node(at).call('startBackup', folder, OPTIONS)
      await cluster.startWriters(at, WRITERS_PER_NODE, { restMs })
    }
    const pointsMs: number[] = []
    for (let kill = 0; kill < kills; kill += 1) {
      pointsMs.push(await killLeader(cluster, folder))
      const at = cluster.nodes.findIndex(({ isRunning }) => !isRunning)
      // The two others go on with the backup, too.
      await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
      await cluster.startNode(at)
      await cluster.node(at).call('startBackup', folder, OPTIONS)
      await cluster.startWriters(at, WRITERS_PER_NODE, { restMs })
    }
    await cluster.untilAcknowledged(WRITERS_PER_NODE * 3)
    await cluster.stopWriters()
    await cluster.untilEqual()
    await syncLeader(cluster)
    const restored = await restoreCopy(cluster, folder)
    cluster.ledger.check(restored.ids, 'the backup')
    const [content] = await cluster.checkContents()
    assert.equal(restored.hash, content?.hash, 'the backup has what the nodes have')
    const generations = readdirSync(folder).filter((name) => name.includes('Z-'))
    assert.equal(generations.length, 1, generations.join(', '))
    return [
      `${kills} leaders killed while they shipped every ${SYNC_MS} ms; the recovery points were ` +
        `${Math.min(...pointsMs).toFixed(0)} to ${Math.max(...pointsMs).toFixed(0)} ms before`,
      `${restored.ids.length} writes restored, ${cluster.ledger.counts.acknowledged} acknowledged`,
    ]
  } finally {
    await cluster.end()
  }
}

/** @returns how much older than the kill the last writes are that had to be there */
async function killLeader(cluster: Cluster, folder: string): Promise<number> {
  await cluster.untilAcknowledged(WRITERS_PER_NODE * 5)
  const sampledMs = Date.now()
  const acknowledged = cluster.ledger.acknowledged()
  // A follower may have acknowledged what the leader was just about to apply.
  const appliedMs = sampledMs + SYNC_MS / 2
  const { at, askedMs } = await until('that is in the backup, as the leader says', async () => {
    const at = await cluster.leader()
    const askedMs = Date.now()
    const status = await cluster.node(at).call('backupStatus')
    const lagMs = status.targets[0]?.lagMs ?? Number.POSITIVE_INFINITY
    const isThere = status.role === 'shipping' && askedMs - lagMs > appliedMs
    return isThere && lagMs <= 2 * SYNC_MS ? { at, askedMs } : null
  })
  await cluster.node(at).kill()
  const ids = new Set((await restoreCopy(cluster, folder)).ids)
  const lost = acknowledged.filter((id) => !ids.has(id))
  assert.deepEqual(lost, [], 'acknowledged before the recovery point, and not in the backup')
  return askedMs - sampledMs
}

/** As the target is now: whoever leads next may put more there at any moment. */
async function restoreCopy(cluster: Cluster, folder: string): Promise<Content> {
  const [copy, dataDir] = ['copy', 'restored'].map((name) => join(cluster.directory, name))
  assert.ok(copy !== undefined && dataDir !== undefined)
  try {
    await until('nothing moved while it was copied', () => {
      rmSync(copy, { recursive: true, force: true })
      const before = listFiles(folder)
      try {
        cpSync(folder, copy, { recursive: true })
      } catch {
        // Something went while it was copied.
        return false
      }
      return before === listFiles(folder)
    })
    await restoreNode({ dataDir, nodeId: 'restored', restore: { from: directoryTarget(copy) } })
    return readContent(dataDir)
  } finally {
    rmSync(copy, { recursive: true, force: true })
    rmSync(dataDir, { recursive: true, force: true })
  }
}

function listFiles(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const changed = names.map((name) => statSync(join(folder, name), { throwIfNoEntry: false }))
  return changed.map((stat, at) => `${names[at]} ${stat?.mtimeMs}`).join('\n')
}

async function syncLeader(cluster: Cluster): Promise<void> {
  await until('the backup has all', async () => {
    const at = await cluster.leader()
    return await cluster
      .node(at)
      .call('syncBackup')
      .then(
        () => true,
        () => false,
      )
  })
}
