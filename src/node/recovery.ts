import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import { readStanding, rehomeDatabases, type Standing } from '../database/database.ts'
import {
  openLog,
  openRealDisk,
  type Recovered,
  rehomeLog,
  UNSYNCED_ENTRIES_MAX,
} from '../log/log.ts'
import { isVoter } from '../raft/raft.ts'
import { closedLogOptions, closeLog, completed, opened } from './closed-log.ts'
import { holdDataDir } from './data-dir.ts'
import { type Identity, readIdentity } from './identity.ts'
import {
  changesToAlone,
  decidesAlone,
  entriesToAlone,
  type Membership,
  membersAtEnd,
} from './recovery-end.ts'
import {
  copyState,
  discardWork,
  endRecovery,
  measureSpace,
  nameKept,
  type RecoverySpace,
  requireSpace,
  segmentBytesOf,
  switchOver,
  workPath,
} from './recovery-files.ts'

export interface PlanRecoveryOptions {
  /** Of a node that is closed. */
  readonly dataDir: string
}

export interface RecoverOptions extends PlanRecoveryOptions {
  /** Of the very node that this directory belongs to: naming it says that this is what is meant. */
  readonly nodeId: string
}

/** A member that a recovery finds. */
export interface RecoveryMember {
  readonly nodeId: string
  readonly address: string
  readonly role: 'voter' | 'learner'
}

/** What a recovery would do. */
export interface RecoveryPlan extends RecoverySpace {
  readonly dataDir: string
  /** The node that would go on alone. */
  readonly nodeId: string
  /** That the directory belongs to now: 32 hexadecimal digits. */
  readonly clusterId: string
  /** The last entry that the node has: whatever the others had beyond it is lost. */
  readonly lastIndex: number
  /** Of that entry. The node with the highest is furthest, and among equals the longest. */
  readonly lastTerm: number
  /** Up to here the node knows that a majority had it; what it has beyond that is kept as well. */
  readonly commitIndex: number
  /** Of the database that is furthest. */
  readonly appliedIndex: number
  /** All other members, which the new cluster has no more. */
  readonly dropped: readonly RecoveryMember[]
  /** Whether the node acknowledged up to 100 ms more than it has, as it was relaxed. */
  readonly isUnclean: boolean
}

/** What a recovery did. */
export interface RecoveryDone extends RecoveryPlan {
  readonly newClusterId: string
  /** The folder that all is in that was there before. */
  readonly keptIn: string
}

/** What is known of a directory before anything of it is changed. */
interface Found {
  readonly plan: RecoveryPlan
  readonly generation: number
  readonly membership: Membership
  /** What entries of the new cluster begin behind. */
  readonly end: number
}

/**
 * Says what {@link recover} would do, and changes nothing but what each `open` does to files that
 * were not closed.
 *
 * @throws ColmenaError ERR_INVALID_ARGUMENT where there is nothing to recover; ERR_DATA_DIR,
 * ERR_LOCKED, ERR_ALREADY_OPEN, ERR_LOG_CORRUPT, ERR_UNSUPPORTED_FORMAT.
 */
export async function planRecovery({ dataDir }: PlanRecoveryOptions): Promise<RecoveryPlan> {
  return withDataDir(dataDir, async (identity) => (await find(dataDir, identity)).plan)
}

/**
 * Makes one node of a cluster, whose majority of voters is gone for good, a cluster of its own. It
 * keeps all entries that it has, whether or not it knows that they were committed, as each may
 * have been acknowledged. The cluster is another one from there on: other members of the old one
 * are strangers to it, and join anew with empty directories. The old files are kept.
 *
 * @throws ColmenaError as of {@link planRecovery}; then all is as it was.
 */
export async function recover({ dataDir, nodeId }: RecoverOptions): Promise<RecoveryDone> {
  return withDataDir(dataDir, async (identity) => {
    const found = await find(dataDir, identity)
    const { plan, generation } = found
    if (nodeId !== plan.nodeId) {
      throw new ColmenaError(
        'ERR_INVALID_ARGUMENT',
        `${dataDir} belongs to node '${plan.nodeId}', not to '${nodeId}': nothing was changed`,
      )
    }
    requireSpace(dataDir, plan)
    const kept = nameKept(new Date())
    const { relaxedSince: _, ...rest } = identity
    const next = { ...rest, clusterId: randomBytes(16).toString('hex') }
    try {
      copyState(dataDir, generation)
      await makeAlone(workPath(dataDir), next, found)
    } catch (error) {
      // As large as all that there is: on a full disk it would keep the node from opening.
      discardWork(dataDir)
      throw asUnmade(dataDir, error)
    }
    switchOver(dataDir, identity, next, kept)
    endRecovery(dataDir)
    return { ...plan, newClusterId: next.clusterId, keptIn: join(dataDir, kept) }
  })
}

async function withDataDir<T>(
  dataDir: string,
  work: (identity: Identity) => Promise<T>,
): Promise<T> {
  // Holding it makes what is not there.
  if (!existsSync(dataDir)) throw noNode(dataDir)
  const hold = holdDataDir(dataDir)
  try {
    endRecovery(dataDir)
    const identity = readIdentity(dataDir)
    if (identity?.state !== 'established') throw noNode(dataDir)
    return await work(identity)
  } finally {
    hold.release()
  }
}

async function find(dataDir: string, identity: Identity): Promise<Found> {
  const recovered = await openLogOf(dataDir, identity)
  try {
    const generation = recovered.snapshot?.generation ?? 1
    const standing = readStanding(join(dataDir, 'db'), generation)
    const membership = membersAtEnd(recovered, standing)
    const isUnclean = identity.relaxedSince !== undefined
    refuse(dataDir, identity, { recovered, standing, membership, isUnclean })
    const space = measureSpace(dataDir, generation)
    const plan = { ...planOf(dataDir, identity, recovered, standing, membership), ...space }
    const passed = recovered.log.lastIndex + (isUnclean ? UNSYNCED_ENTRIES_MAX : 0)
    const end = Math.max(passed, standing.highestApplied)
    return { plan: { ...plan, isUnclean }, generation, membership, end }
  } finally {
    await closeLog(recovered)
  }
}

function planOf(
  dataDir: string,
  { nodeId, memberId, clusterId }: Identity,
  { log, hardState }: Recovered,
  { highestApplied }: Standing,
  { confState, records }: Membership,
): Omit<RecoveryPlan, keyof RecoverySpace | 'isUnclean'> {
  const others = records.filter((record) => record.memberId !== memberId)
  const dropped = others.map((record): RecoveryMember => {
    const role = isVoter(confState, record.memberId) ? 'voter' : 'learner'
    return { nodeId: record.nodeId, address: record.address, role }
  })
  const lastTerm = log.term(log.lastIndex)
  return {
    dataDir,
    nodeId,
    clusterId,
    lastIndex: log.lastIndex,
    lastTerm: typeof lastTerm === 'number' ? lastTerm : hardState.term,
    commitIndex: Math.max(hardState.commit, highestApplied),
    appliedIndex: highestApplied,
    dropped,
  }
}

interface Refusable {
  readonly recovered: Recovered
  readonly standing: Standing
  readonly membership: Membership
  readonly isUnclean: boolean
}

/** @throws ColmenaError where this directory is none to go on from. */
function refuse(
  dataDir: string,
  { memberId, nodeId }: Identity,
  { recovered: { log }, standing, membership, isUnclean }: Refusable,
): void {
  const { applied, highestApplied, divergence } = standing
  const isAhead = highestApplied > log.lastIndex && !isUnclean
  if (isAhead || applied + 1 < log.firstIndex) {
    throw new ColmenaError(
      'ERR_LOG_CORRUPT',
      `the databases of ${dataDir} hold entries up to ${highestApplied} and need those after ` +
        `${applied}, but the log has ${log.firstIndex} to ${log.lastIndex}. ${elsewhere(dataDir)}`,
    )
  }
  if (divergence !== null) {
    throw new ColmenaError(
      'ERR_DATA_DIR',
      `the databases of ${dataDir} are not what the others had (${divergence}). ` +
        elsewhere(dataDir),
    )
  }
  if (membership.records.every((record) => record.memberId !== memberId)) {
    throw new ColmenaError(
      'ERR_INVALID_ARGUMENT',
      `node '${nodeId}' is no member of its cluster: it was removed, or never finished joining. ` +
        'Recover a member',
    )
  }
  if (decidesAlone(membership, memberId)) {
    throw new ColmenaError(
      'ERR_INVALID_ARGUMENT',
      `there is nothing to recover: node '${nodeId}' is the only voter of its cluster, and needs ` +
        'nobody else to go on. Open it',
    )
  }
}

/** Turns copies of log and databases into those of a cluster of one. */
async function makeAlone(work: string, next: Identity, found: Found): Promise<void> {
  const clusterId = Buffer.from(next.clusterId, 'hex')
  const log = { disk: openRealDisk(work), directory: 'log' }
  await completed((done) => rehomeLog(log, clusterId, done))
  rehomeDatabases(join(work, 'db'), found.generation, next.clusterId)
  const recovered = await openLogOf(work, next)
  try {
    const changes = changesToAlone(found.membership, next.memberId)
    const { log, hardState: hard } = recovered
    const place = { lastIndex: log.lastIndex, term: hard.term }
    const entries = entriesToAlone(place, found.end, changes)
    const commit = entries.at(-1)?.index ?? found.end
    const hardState = { ...hard, vote: 0, commit }
    const batch = { entries, hardState, snapshot: null, mustSync: true }
    await completed((done) => log.append(batch, done))
  } finally {
    await closeLog(recovered)
  }
}

/** @throws ColmenaError as of `openLog`, saying what is left to do. */
async function openLogOf(dataDir: string, identity: Identity): Promise<Recovered> {
  const options = closedLogOptions(dataDir, identity, segmentBytesOf(dataDir))
  try {
    return await opened((done) => openLog(options, done))
  } catch (error) {
    if (!isColmenaError(error) || error.code !== 'ERR_LOG_CORRUPT') throw error
    const message = `${error.message}. ${elsewhere(dataDir)}`
    throw new ColmenaError('ERR_LOG_CORRUPT', message, { cause: error })
  }
}

function noNode(dataDir: string): ColmenaError {
  return new ColmenaError(
    'ERR_DATA_DIR',
    `${dataDir} holds no node of a cluster: name the directory that a member was opened with`,
  )
}

/** What the system answers is trouble of the disk; all else goes on as it is. */
function asUnmade(dataDir: string, error: unknown): unknown {
  if (isColmenaError(error) || !(error instanceof Error) || !('syscall' in error)) return error
  const message =
    `the new files could not be made in ${dataDir}: ${error.message}. Nothing was changed: see ` +
    'to the disk, and recover again'
  return new ColmenaError('ERR_DATA_DIR', message, { cause: error })
}

/** What to do with a directory that no cluster should go on from. */
function elsewhere(dataDir: string): string {
  return (
    'Recover another member, if one is left. Otherwise begin a new cluster and bring its ' +
    `databases in, each with: colmena import ${join(dataDir, 'db', '<generation>', '<name>.db')}`
  )
}
