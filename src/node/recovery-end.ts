import { decodeMemberRecords, encodeMemberRecords, type MemberRecord } from '../command/command.ts'
import type { Standing } from '../database/database.ts'
import type { Recovered } from '../log/log.ts'
import {
  applyConfChangeToState,
  type ConfChange,
  type ConfState,
  decodeConfChange,
  type Entry,
  encodeConfChange,
  isJoint,
  isVoter,
  LEAVE_JOINT,
  type MemberId,
} from '../raft/raft.ts'

/** Who belongs to a cluster. */
export interface Membership {
  readonly confState: ConfState
  /** Of all members. */
  readonly records: readonly MemberRecord[]
}

/** The members as they are once all of the log is applied. */
export function membersAtEnd({ log, confChanges }: Recovered, standing: Standing): Membership {
  let { confState } = standing
  const records = new Map(standing.members.map((record) => [record.memberId, record]))
  for (const { index, term, data } of confChanges) {
    // What was cut off again is in no log.
    if (index <= standing.confIndex || log.term(index) !== term) continue
    const change = decodeConfChange(data)
    if (change === null) continue
    confState = applyConfChangeToState(confState, change)
    for (const record of decodeMemberRecords(change.context)) records.set(record.memberId, record)
  }
  const ids = membersOf(confState)
  return { confState, records: [...records.values()].filter(({ memberId }) => ids.has(memberId)) }
}

/** Whether this member decides alone: then there is no quorum that could be lost. */
export function decidesAlone({ confState }: Membership, self: MemberId): boolean {
  const { voters } = confState
  return voters.length === 1 && voters[0] === self && !isJoint(confState)
}

/**
 * The changes that leave this member as the only one. They stand behind all that the log has, so
 * that whatever is there applies under the members of its time: writes of those that are removed
 * too. Each goes by itself, as one voter at most may go in one step.
 */
export function changesToAlone(
  { confState, records }: Membership,
  self: MemberId,
): readonly ConfChange[] {
  const own = records.filter(({ memberId }) => memberId === self)
  const context = encodeMemberRecords(own.map((record) => ({ ...record, wantedRole: 'voter' })))
  const changes: ConfChange[] = isJoint(confState) ? [LEAVE_JOINT] : []
  // Also for one that votes already: it is to go on voting.
  const addsSelf = isVoter({ ...confState, votersOutgoing: [] }, self) ? 'updateNode' : 'addNode'
  changes.push({ transition: 'auto', changes: [{ type: addsSelf, id: self }], context })
  for (const id of membersOf(confState)) {
    if (id === self) continue
    const changed = [{ type: 'removeNode', id }] as const
    changes.push({ transition: 'auto', changes: changed, context: encodeMemberRecords([]) })
  }
  return changes
}

/** The entries of {@link changesToAlone}, behind empty ones up to `end`, which pass over a gap. */
export function entriesToAlone(
  { lastIndex, term }: { readonly lastIndex: number; readonly term: number },
  end: number,
  changes: readonly ConfChange[],
): readonly Entry[] {
  const count = end - lastIndex
  const passed = Array.from({ length: count }, (_, at): Entry => {
    return { index: lastIndex + 1 + at, term, type: 'normal', data: new Uint8Array() }
  })
  const removing = changes.map((change, at): Entry => {
    const data = encodeConfChange(change)
    return { index: end + 1 + at, term, type: 'confChangeV2', data }
  })
  return [...passed, ...removing]
}

function membersOf(confState: ConfState): ReadonlySet<MemberId> {
  const { voters, learners, votersOutgoing, learnersNext } = confState
  return new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])
}
