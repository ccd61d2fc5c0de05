import type { Progress } from '../../src/raft/progress.ts'
import type { ConfChange, ConfState, Entry, TraceCode, TraceEvent } from '../../src/raft/raft.ts'
import type { MessageType, Role } from '../../src/raft/types.ts'
import {
  describeConfiguration,
  describeConfState,
  describeProgress,
  describeProto,
  hex,
  nameMessageType,
  nameRole,
} from './etcd-raft-format.ts'

/**
 * The lines etcd/raft logs, from the core's structured events. In the templates `%x` is an id, `%d`
 * a number, `%t` a message type, `%r` a role, `%p` a member's progress, `%c` a configuration.
 */
const TEMPLATES: Readonly<Record<TraceCode, string>> = {
  started:
    'newRaft %x [peers: [%l], term: %d, commit: %d, applied: %d, lastindex: %d, lastterm: %d]',
  becameFollower: '%x became follower at term %d',
  becameCandidate: '%x became candidate at term %d',
  becamePreCandidate: '%x became pre-candidate at term %d',
  becameLeader: '%x became leader at term %d',
  campaignStarted: '%x is starting a new election at term %d',
  campaignRefusedLeader: '%x ignoring MsgHup because already leader',
  campaignRefusedUnpromotable: '%x is unpromotable and can not campaign',
  campaignRefusedConfChange:
    '%x cannot campaign at term %d since there are still pending configuration changes to apply',
  voteRequested: '%x [logterm: %d, index: %d] sent %t request to %x at term %d',
  voteReceived: '%x received %t from %x at term %d',
  voteRefusalReceived: '%x received %t rejection from %x at term %d',
  votesTallied: '%x has received %d %t votes and %d vote rejections',
  voteIgnoredInLease:
    '%x [logterm: %d, index: %d, vote: %x] ignored %t from %x [logterm: %d, index: %d] ' +
    'at term %d: lease is not expired (remaining ticks: %d)',
  voteCast:
    '%x [logterm: %d, index: %d, vote: %x] cast %t for %x [logterm: %d, index: %d] at term %d',
  voteRejected:
    '%x [logterm: %d, index: %d, vote: %x] rejected %t from %x [logterm: %d, index: %d] at term %d',
  higherTermSeen: '%x [term: %d] received a %t message with higher term from %x [term: %d]',
  lowerTermIgnored: '%x [term: %d] ignored a %t message with lower term from %x [term: %d]',
  lowerTermAppendIgnored:
    '%x [term: %d] ignored entry appends from a %t message with lower term [term: %d]',
  timeoutNowIgnored: '%x [term %d state %r] ignored MsgTimeoutNow from %x',
  timeoutNowReceived:
    '%x [term %d] received MsgTimeoutNow from %x and starts an election to get leadership.',
  quorumLost: '%x stepped down to follower since quorum is not active',
  proposalDroppedTransfer:
    '%x [term %d] transfer leadership to %x is in progress; dropping proposal',
  proposalDroppedNoLeader: '%x no leader at term %d; dropping proposal',
  proposalNotForwarded: '%x not forwarding to leader %x at term %d; dropping proposal',
  proposalOverQuota:
    '%x appending new entries to log would exceed uncommitted entry size limit; dropping proposal',
  confChangeIgnored: '',
  confChangeInvalid: '%x ignoring invalid conf change: %s at config %c',
  configurationSwitched: '%x switched to configuration %c',
  autoLeaveProposed: 'initiating automatic transition out of joint configuration %c',
  autoLeaveRefused:
    'not initiating automatic transition out of joint configuration %c: raft proposal dropped',
  progressMissing: '%x no progress available for %x',
  appendRejectionReceived:
    '%x received MsgAppResp(rejected, hint: (index %d, term %d)) from %x for index %d',
  progressDecreased: '%x decreased progress of %x to [%p]',
  snapshotRecovered:
    '%x recovered from needing snapshot, resumed sending replication messages to %x [%p]',
  snapshotSucceeded: '%x snapshot succeeded, resumed sending replication messages to %x [%p]',
  snapshotFailed: '%x snapshot failed, resumed sending replication messages to %x [%p]',
  snapshotSkippedInactive: 'ignore sending snapshot to %x since it is not recently active',
  snapshotUnavailable:
    '%x failed to send snapshot to %x because snapshot is temporarily unavailable',
  snapshotSent: '%x [firstindex: %d, commit: %d] sent snapshot[index: %d, term: %d] to %x [%p]',
  replicationPaused: '%x paused sending replication messages to %x [%p]',
  peerUnreachable: '%x failed to send message to %x because it is unreachable [%p]',
  transferToLearner: '%x is learner. Ignored transferring leadership',
  transferAlreadyPending:
    '%x [term %d] transfer leadership to %x is in progress, ignores request to same node %2x',
  transferAborted: '%x [term %d] abort previous transferring leadership to %x',
  transferToSelf: '%x is already leader. Ignored transferring leadership to self',
  transferStarted: '%x [term %d] starts to transfer leadership to %x',
  transferNoLeader: '%x no leader at term %d; dropping leader transfer msg',
  timeoutNowSentAtOnce:
    '%x sends MsgTimeoutNow to %x immediately as %1x already has up-to-date log',
  timeoutNowSentAfterAck: '%x sent MsgTimeoutNow to %x after received MsgAppResp',
  leaderForgotten: '%x forgetting leader %x at term %d',
  forgetLeaderRefused: 'ignoring MsgForgetLeader due to ReadOnlyLeaseBased',
  readNoLeader: '%x no leader at term %d; dropping index reading msg',
  readResponseMalformed: '%x invalid format of MsgReadIndexResp from %x, entries count: %d',
  appendRejected: '%x [logterm: %d, index: %d] rejected MsgApp [logterm: %d, index: %d] from %x',
  commitBeyondLast: 'tocommit(%d) is out of range [lastIndex(%d)]',
  conflictFound: 'found conflict at index %d [existing term: %d, conflicting term: %d]',
  snapshotRestoredByPeer: '%x [commit: %d] restored snapshot [index: %d, term: %d]',
  snapshotIgnored: '%x [commit: %d] ignored snapshot [index: %d, term: %d]',
  snapshotRestoreRefusedMember:
    '%x attempted to restore snapshot but it is not in the ConfState %f; should never happen',
  snapshotFastForwarded:
    '%x [commit: %d, lastindex: %d, lastterm: %d] fast-forwarded commit to snapshot ' +
    '[index: %d, term: %d]',
  snapshotRestored:
    '%x [commit: %d, lastindex: %d, lastterm: %d] restored snapshot [index: %d, term: %d]',
  logRestoring:
    'log [committed=%d, applied=%d, applying=%d, unstable.offset=%d, ' +
    'unstable.offsetInProgress=%d, len(unstable.Entries)=%d] starts to restore snapshot ' +
    '[index: %d, term: %d]',
  unstableMissing: 'entry at index %d missing from unstable log; ignoring',
  unstableMatchedSnapshot: 'entry at index %d matched unstable snapshot; ignoring',
  unstableTermMismatch:
    'entry at (index,term)=(%d,%d) mismatched with entry at (%0d,%d) in unstable log; ignoring',
  unstableReplaced: 'replace the unstable entries from index %d',
  unstableTruncated: 'truncate the unstable entries before index %d',
}

/** A digit in a placeholder takes that argument again. */
const PLACEHOLDER = /%(\d?)([xdtrpclsf])/g

export function describeEvent(event: TraceEvent): string {
  if (event.code === 'confChangeIgnored') return describeIgnoredChange(event.args)
  let next = 0
  return TEMPLATES[event.code].replace(PLACEHOLDER, (_all, again: string, kind: string) => {
    const value = event.args[again === '' ? next++ : Number(again)]
    return describeArgument(kind, value)
  })
}

function describeArgument(kind: string, value: unknown): string {
  switch (kind) {
    case 'x':
      return hex(value as number)
    case 't':
      return nameMessageType(value as MessageType)
    case 'r':
      return nameRole(value as Role)
    case 'p':
      return describeLiveProgress(value as Progress)
    case 'c':
      return describeConfiguration(value as ConfState)
    case 'f':
      return describeConfState(value as ConfState)
    case 'l':
      return (value as number[]).map(hex).join(',')
    default:
      return String(value)
  }
}

export function describeLiveProgress(progress: Progress): string {
  return describeProgress({
    state: progress.state,
    match: progress.match,
    next: progress.next,
    isLearner: progress.isLearner,
    paused: progress.isPaused(),
    pendingSnapshot: progress.pendingSnapshot,
    recentActive: progress.recentActive,
    inflight: progress.inflights.count,
    inflightFull: progress.inflights.isFull(),
  })
}

function describeIgnoredChange(args: readonly unknown[]): string {
  const [id, type, change, state, why, pendingIndex, applied] = args
  const reasons: Readonly<Record<string, string>> = {
    pending: `possible unapplied conf change at index ${pendingIndex} (applied to ${applied})`,
    joint: 'must transition out of joint config first',
    notJoint: 'not in joint state; refusing empty conf change',
  }
  const proto = describeProto(type as Entry['type'], change as ConfChange)
  const config = describeConfiguration(state as ConfState)
  const reason = reasons[why as string]
  return `${hex(id as number)} ignoring conf change ${proto} at config ${config}: ${reason}`
}
