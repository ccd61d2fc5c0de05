import {
  appendProposals,
  broadcastAppend,
  broadcastHeartbeat,
  fillWindow,
  maybeCommit,
  type Proposal,
  releaseQuota,
  sendAppend,
} from './append.ts'
import { isJoint } from './conf-change.ts'
import { decodeConfChange } from './conf-change-codec.ts'
import type { StepResult } from './config.ts'
import type { Core } from './core.ts'
import { entriesSizeBytes } from './entry-size.ts'
import { NO_BYTES } from './message.ts'
import type { Progress } from './progress.ts'
import { acceptRead, acceptReadEcho, releasePostponedReads } from './reads.ts'
import { continueTransfer, startTransfer } from './transfer.ts'
import type { ConfChange, Entry, Message } from './types.ts'

/** What a leader does with messages of its own term. */
export function stepLeader(core: Core, message: Message): StepResult {
  switch (message.type) {
    case 'beat':
      broadcastHeartbeat(core, core.reads.heartbeatContext())
      return 'ok'
    case 'checkQuorum':
      checkQuorum(core)
      return 'ok'
    case 'propose':
      return proposeAsLeader(core, message.entries)
    case 'readIndex':
      return acceptRead(core, message)
    case 'forgetLeader':
      return 'ok'
  }
  const member = core.tracker.get(message.from)
  if (member === undefined) {
    core.note('debug', 'progressMissing', core.id, message.from)
    return 'ok'
  }
  switch (message.type) {
    case 'appendResponse':
      return message.reject
        ? acceptRejection(core, member, message)
        : acceptAppend(core, member, message.index)
    case 'heartbeatResponse':
      acceptHeartbeatResponse(core, member, message)
      return 'ok'
    case 'snapshotStatus':
      acceptSnapshotStatus(core, member, message.reject)
      return 'ok'
    case 'unreachable':
      // Optimistic sending has probably lost something.
      if (member.state === 'replicate') member.becomeProbe()
      core.note('debug', 'peerUnreachable', core.id, member.id, member)
      return 'ok'
    case 'transferLeader':
      return startTransfer(core, member)
  }
  return 'ok'
}

/** A leader that a quorum no longer hears stops leading, so that clients find the next one. */
function checkQuorum(core: Core): void {
  if (!core.tracker.isQuorumActive()) {
    core.note('warn', 'quorumLost', core.id)
    core.becomeFollower(core.term, 0)
  }
  for (const member of core.tracker.members) {
    if (member.id !== core.id) member.recentActive = false
  }
}

/** Appends what was proposed; a configuration change that may not be made now becomes empty. */
export function proposeAsLeader(core: Core, proposals: readonly Proposal[]): StepResult {
  // A leader that was removed still serves its followers, but takes nothing new.
  if (core.tracker.get(core.id) === undefined) return 'dropped'
  if (core.leadTransferee !== 0) {
    core.note('debug', 'proposalDroppedTransfer', core.id, core.term, core.leadTransferee)
    return 'dropped'
  }
  const pendingBefore = core.pendingConfIndex
  let admitted = proposals
  for (let i = 0; i < proposals.length; i++) {
    const proposal = proposals[i]!
    if (proposal.type === 'normal') continue
    const change = decodeConfChange(proposal.data)
    if (change === null) return 'invalid'
    if (isConfChangeAllowed(core, proposal, change)) {
      core.pendingConfIndex = core.log.lastIndex() + i + 1
    } else {
      admitted = admitted.with(i, { type: 'normal', data: NO_BYTES })
    }
  }
  if (!appendProposals(core, admitted)) {
    core.pendingConfIndex = pendingBefore
    return 'dropped'
  }
  broadcastAppend(core)
  return 'ok'
}

function isConfChangeAllowed(core: Core, proposal: Proposal, change: ConfChange): boolean {
  const { applied } = core.log
  const { state } = core.tracker
  const isLeaving = change.changes.length === 0
  let why: string | null = null
  if (core.pendingConfIndex > applied) why = 'pending'
  else if (isJoint(state) && !isLeaving) why = 'joint'
  else if (!isJoint(state) && isLeaving) why = 'notJoint'
  if (why === null || core.config.disableConfChangeValidation) return true
  const args = [proposal.type, change, state, why, core.pendingConfIndex, applied]
  core.note('info', 'confChangeIgnored', core.id, ...args)
  return false
}

/** The member's log does not hold the anchor: step back to where the two may meet. */
function acceptRejection(core: Core, member: Progress, message: Message): StepResult {
  member.recentActive = true
  const { index, rejectHint, logTerm } = message
  core.note('debug', 'appendRejectionReceived', core.id, rejectHint, logTerm, member.id, index)
  // The member named its highest entry that may match. If our term there is higher, none of our
  // entries down to that term can match either: one probe per term finds the meeting point.
  const hint = logTerm > 0 ? core.log.findConflictByTerm(rejectHint, logTerm).index : rejectHint
  if (member.decreaseNext(index, hint)) {
    core.note('debug', 'progressDecreased', core.id, member.id, member)
    if (member.state === 'replicate') member.becomeProbe()
    sendAppend(core, member)
  }
  return 'ok'
}

function acceptAppend(core: Core, member: Progress, index: number): StepResult {
  // Nobody can hold more of our log than we do.
  if (index > core.log.lastIndex()) return 'invalid'
  member.recentActive = true
  // An acknowledgement without news still ends probing: the logs are known to meet.
  const isProbeAnswered = member.match === index && member.state === 'probe'
  if (!member.updateMatch(index) && !isProbeAnswered) return 'ok'
  if (member.state === 'probe') {
    member.becomeReplicate()
  } else if (member.state === 'replicate') {
    member.inflights.freeUpTo(index)
  } else if (member.match + 1 >= core.log.firstIndex()) {
    // Whatever snapshot it got and from whom: from here our log can take it further.
    core.note('debug', 'snapshotRecovered', core.id, member.id, member)
    member.becomeProbe()
    member.becomeReplicate()
  }
  if (maybeCommit(core)) {
    releasePostponedReads(core)
    broadcastAppend(core)
  } else if (member.id !== core.id && member.canBumpCommit(core.log.committed)) {
    sendAppend(core, member)
  }
  if (member.id !== core.id) fillWindow(core, member)
  continueTransfer(core, member)
  return 'ok'
}

function acceptHeartbeatResponse(core: Core, member: Progress, message: Message): void {
  member.recentActive = true
  member.flowPaused = false
  // A full window gets an empty message here, and so does a probed member that has everything:
  // its answer is what lets it stream again (etcd #14633).
  if (member.match < core.log.lastIndex() || member.state === 'probe') sendAppend(core, member)
  acceptReadEcho(core, member, message.context)
}

function acceptSnapshotStatus(core: Core, member: Progress, isFailure: boolean): void {
  if (member.state !== 'snapshot') return
  // A snapshot that failed is no base to go on from.
  if (isFailure) member.pendingSnapshot = 0
  member.becomeProbe()
  const code = isFailure ? 'snapshotFailed' : 'snapshotSucceeded'
  core.note('debug', code, core.id, member.id, member)
  // After success its own answer comes first; after failure wait for a heartbeat.
  member.flowPaused = true
}

/** Takes the owner's word that these committed entries are applied. */
export function acceptApplied(core: Core, entries: readonly Entry[]): void {
  if (entries.length === 0) return
  advanceApplied(core, entries.at(-1)!.index, entriesSizeBytes(entries))
  releaseQuota(core, entries)
}

/** Moves the applied index, and leaves a joint configuration that is to be left by itself. */
export function advanceApplied(core: Core, index: number, sizeBytes: number): void {
  const { log, tracker } = core
  const applied = Math.max(index, log.applied)
  log.appliedTo(applied, sizeBytes)
  const { confIndexes } = core
  while (confIndexes.length > 0 && confIndexes[0]! <= applied) confIndexes.shift()
  if (!tracker.state.autoLeave || applied < core.pendingConfIndex || core.role !== 'leader') return
  // May be refused during a transfer; then the next applied entries, or the next leader, do it.
  const { state } = tracker
  const result = proposeAsLeader(core, [{ type: 'confChangeV2', data: NO_BYTES }])
  if (result === 'ok') core.note('info', 'autoLeaveProposed', state)
  else core.note('debug', 'autoLeaveRefused', state)
}
