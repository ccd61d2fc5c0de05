import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster } from '../cluster.ts'
import { median } from '../figures.ts'
import type { MemberHandle } from '../member-handle.ts'
import { measureWrites, medianOf } from '../write-rounds.ts'
import type { GroupContext } from './group.ts'

const WRITERS = 32
const ROUNDS = { writers: WRITERS, warmUpMs: 1_000, rounds: 3, roundMs: 1_500 }
/** With and without, in turns: a slow spell of the machine meets both. */
const TURNS = 4
const SYNC_MS = 1_000
const APART_MS = 8_000
const LOG_WRITERS = 256
const LOG_MS = 12_000
const BODY_BYTES = 100_000
const BODIES = 4_000
const RESTORES = 3

export async function measureBackupGroup(context: GroupContext): Promise<void> {
  await measureBeside(context)
  await measureLog(context)
  await measureSnapshot(context)
}

/** What a backup costs the writes, and what a disaster would lose. */
async function measureBeside({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const members = await cluster.listFromLeader()
  const [leader] = members as [MemberHandle]
  const folder = stage.createFolder()
  const ratios: number[] = []
  for (let turn = 0; turn < TURNS; turn += 1) {
    const without = medianOf(await measureWrites(members, ROUNDS))
    await leader.call('startBackup', folder, SYNC_MS)
    const beside = medianOf(await measureWrites(members, ROUNDS))
    await leader.call('stopBackup')
    ratios.push(beside.p99Ms / without.p99Ms)
  }
  report('backup.write.p99Ratio', median(ratios))
  await leader.call('startBackup', folder, SYNC_MS)
  await leader.call('writeApart', APART_MS)
  const agesMs = await leader.call('stopBackup')
  report('backup.recoveryPoint.intervals', agesMs.reduce((a, b) => Math.max(a, b), 0) / SYNC_MS)
  await cluster.end()
}

/** A snapshot of next to nothing, and all that was written behind it. */
async function measureLog({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 1 })
  const node = cluster.member(0)
  const folder = stage.createFolder()
  await node.call('startBackup', folder, SYNC_MS)
  const plan = { writers: LOG_WRITERS, warmUpMs: 0, rounds: 1, roundMs: LOG_MS }
  await measureWrites([node], plan)
  await node.call('stopBackup')
  const rows = await node.call('countRows')
  const raw = await node.call('rawBatches', stage.createFolder(), rows)
  report('backup.raw.insert.perSecond', raw)
  report('backup.restore.log.perSecond', (rows * 1_000) / (await restoreMs(node, stage, folder)))
  await cluster.end()
}

/** A snapshot with all there is, and no log behind it. */
async function measureSnapshot({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 1 })
  const node = cluster.member(0)
  const folder = stage.createFolder()
  await node.call('execute', 'CREATE TABLE large (body BLOB)')
  await node.call('fill', 'INSERT INTO large (body) VALUES (?)', BODIES, BODY_BYTES)
  await node.call('startBackup', folder, SYNC_MS)
  await node.call('stopBackup')
  const copy = join(stage.createFolder(), 'large.db')
  await node.call('copyTo', copy)
  const megabytes = statSync(copy).size / 1e6
  report('backup.raw.copy.mbPerSecond', await node.call('rawCopy', copy, stage.createFolder()))
  const tookMs = await restoreMs(node, stage, folder)
  report('backup.restore.snapshot.mbPerSecond', (megabytes * 1_000) / tookMs)
  await cluster.end()
}

async function restoreMs(
  node: MemberHandle,
  stage: GroupContext['stage'],
  folder: string,
): Promise<number> {
  const took: number[] = []
  for (let at = 0; at < RESTORES; at += 1) {
    took.push(await node.call('restoreBackup', folder, join(stage.createFolder(), 'restored')))
  }
  return median(took)
}
