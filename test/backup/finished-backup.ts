/** A backup with all kinds of objects in it, and what its node held at some entries. */
import { Backup, type BackupOptions } from '../../src/backup/backup.ts'
import type { ColmenaNode } from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import type { SeededRandom } from '../simulated/random.ts'
import { FaultyTarget } from './faulty-target.ts'
import { MovedClock } from './moved-clock.ts'

/** What a node said of its content, by the names of database files. */
export interface Known {
  readonly index: number
  readonly hashes: Readonly<Record<string, string>>
}

export interface Finished {
  readonly target: FaultyTarget
  /** Of the same node and time, in a generation of its own. */
  readonly other: FaultyTarget
  /** Between the first two snapshots, between the next two, and at the end. */
  readonly known: readonly [Known, Known, Known]
}

const HOUR_MS = 3_600_000
const BLOB = 'INSERT INTO kept (value) VALUES (randomblob(?)), (random())'

class OtherTarget extends FaultyTarget {
  override readonly label: string = 'other'
}

/**
 * Three snapshots, with one segment between the first two, one between the next two, and three
 * behind the last.
 */
export async function finishBackup(
  node: ColmenaNode,
  options: Partial<BackupOptions>,
  random: SeededRandom,
): Promise<Finished> {
  const target = new FaultyTarget()
  const other = new OtherTarget()
  const clock = new MovedClock()
  const all: BackupOptions = {
    syncIntervalMs: 86_400_000,
    snapshotIntervalMs: HOUR_MS,
    drills: { everyMs: 0 },
    retention: { keepMs: -1 },
    ...options,
    targets: [target, other],
  }
  const known: Known[] = []
  for (let part = 0; part < 3; part += 1) {
    await using backup = new Backup(node, all, clock)
    for (let step = 0; step < 3; step += 1) {
      await backup.sync()
      await write(node, random)
      if (step === 1) known.push(await askContent(node))
    }
    if (part === 2) known.push(await askContent(node))
    await backup.sync()
    if (part < 2) await takeSnapshot(backup, clock)
  }
  return { target, other, known: [known[0], known[1], known[3]] as unknown as Finished['known'] }
}

async function write(node: ColmenaNode, random: SeededRandom): Promise<void> {
  for (const name of ['main', 'more']) {
    const db = node.database(name)
    await db.execute('CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, value)')
    for (let count = random.between(1, 4); count > 0; count -= 1) {
      await db.execute(BLOB, [random.between(10, 3_000)])
    }
    await db.execute('DELETE FROM kept WHERE id % 9 = ?', [random.below(9)])
  }
}

async function takeSnapshot(backup: Backup, clock: MovedClock): Promise<void> {
  let taken = 0
  backup.on('snapshot', () => {
    taken += 1
  })
  // The loops of two targets, and the one that follows.
  await clock.pass(HOUR_MS, 3)
  await backup.sync()
  await until('both have a snapshot', () => taken === 2)
}

/** What each database holds, and at which entry. */
export async function askContent(node: ColmenaNode): Promise<Known> {
  const { index, members } = await node.verify()
  const hashes = Object.entries(members[0]?.hashes ?? {}).map(([key, hash]) => {
    return [`${key.split('@')[0]}.db`, hash]
  })
  return { index, hashes: Object.fromEntries(hashes) }
}
