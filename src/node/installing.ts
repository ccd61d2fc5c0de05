import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { MemberRecord } from '../command/command.ts'
import {
  applyToCopies,
  closeCopies,
  openCopies,
  type Replica,
  rehomeDatabases,
} from '../database/database.ts'
import { createLog, type SnapshotMark } from '../log/log.ts'
import type { Extension } from '../sqlite/sqlite.ts'
import { closedLogOptions, closeLog, opened } from './closed-log.ts'
import { type Identity, makeNodeId, newIdentity, randomMemberId } from './identity.ts'
import { changesToAlone, entriesToAlone } from './recovery-end.ts'
import { GENERATION } from './replay.ts'
import { restorePath, switchOverRestored } from './restoring-files.ts'

export interface Installation {
  readonly dataDir: string
  /** Made up if undefined. */
  readonly nodeId: string | undefined
  /** '' without network. */
  readonly advertise: string
  readonly logSegmentBytes: number
  readonly extensions: readonly Extension[]
  /** How often the directory was opened before. */
  readonly incarnation: number
}

/**
 * Makes what a restore came to the node of a data directory that holds none: alone in a cluster of
 * its own, which goes on behind the entries that the databases have. All members of before are
 * strangers to it, and what they held ends with them.
 *
 * @throws ColmenaError ERR_DATA_DIR; then the directory holds no node.
 */
export async function install(installation: Installation): Promise<Identity> {
  const { dataDir, logSegmentBytes, incarnation } = installation
  const work = restorePath(dataDir)
  const { member, mark } = leaveAlone(work, installation)
  const clusterId = randomBytes(16).toString('hex')
  rehomeDatabases(join(work, 'db'), GENERATION, clusterId)
  const { memberId, nodeId } = member
  const options = closedLogOptions(work, { clusterId, memberId }, logSegmentBytes)
  const hardState = { term: mark.term, vote: 0, commit: mark.index }
  await closeLog(await opened((done) => createLog(options, mark, hardState, done)))
  const identity = newIdentity({ clusterId, nodeId, memberId, incarnation, genesis: 'bootstrap' })
  await switchOverRestored(dataDir, identity)
  return identity
}

/** The members change as they do in any cluster, by entries of its log. */
function leaveAlone(
  work: string,
  { nodeId, advertise, extensions }: Installation,
): { readonly member: MemberRecord; readonly mark: SnapshotMark } {
  const place = { directory: join(work, 'db'), generation: GENERATION }
  const replica = openCopies({ ...place, writer: { extensions } })
  try {
    const memberId = newMemberId(replica)
    const wanted = { address: advertise, wantedRole: 'voter' } as const
    const member = { memberId, nodeId: nodeId ?? makeNodeId(memberId), ...wanted }
    const { appliedIndex: lastIndex, appliedTerm: term, confState, members } = replica
    const changes = changesToAlone({ confState, records: [...members, member] }, memberId)
    applyToCopies(replica, entriesToAlone({ lastIndex, term }, lastIndex, changes))
    const mark = {
      index: replica.appliedIndex,
      term: replica.appliedTerm,
      generation: GENERATION,
      confState: replica.confState,
    }
    return { member, mark }
  } finally {
    closeCopies(replica)
  }
}

/** What an old member sent must never pass for the new one's. */
function newMemberId({ members, origins }: Replica): number {
  const known = new Set([...members, ...origins].map(({ memberId }) => memberId))
  for (;;) {
    const memberId = randomMemberId()
    if (!known.has(memberId)) return memberId
  }
}
