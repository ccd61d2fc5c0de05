import { dropConfIndexes, trackConfChanges } from './append.ts'
import { isMember } from './conf-change.ts'
import type { StepResult } from './config.ts'
import type { Core } from './core.ts'
import { acceptVote, tryCampaign } from './election.ts'
import { restoreConfiguration } from './membership.ts'
import type { MemberId, Message, Snapshot } from './types.ts'

/** What a follower does with messages of its own term. */
export function stepFollower(core: Core, message: Message): StepResult {
  switch (message.type) {
    case 'propose':
      return forwardProposal(core, message)
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      core.electionElapsed = 0
      core.leader = message.from
      return followLeader(core, message)
    case 'transferLeader':
      if (core.hasLeader()) return forward(core, message, core.term)
      core.note('info', 'transferNoLeader', core.id, core.term)
      return 'noLeader'
    case 'forgetLeader':
      return forgetLeader(core)
    case 'timeoutNow':
      core.note('info', 'timeoutNowReceived', core.id, core.term, message.from)
      // The leader itself asks, so there is no partition to recover from: no pre-vote.
      tryCampaign(core, 'transfer')
      return 'ok'
    case 'readIndex':
      if (core.hasLeader()) return forward(core, message, 0)
      core.note('info', 'readNoLeader', core.id, core.term)
      return 'noLeader'
    case 'readIndexResponse':
      return acceptReadResponse(core, message)
  }
  return 'ok'
}

/** What a candidate or pre-candidate does with messages of its own term. */
export function stepCandidate(core: Core, message: Message): StepResult {
  switch (message.type) {
    case 'propose':
      core.note('info', 'proposalDroppedNoLeader', core.id, core.term)
      return 'dropped'
    case 'append':
    case 'heartbeat':
    case 'snapshot':
      // Somebody leads this term. The vote stays cast: it is the same term.
      core.becomeFollower(message.term, message.from)
      return followLeader(core, message)
    case 'voteResponse':
      if (core.role === 'candidate') acceptVote(core, message)
      return 'ok'
    case 'preVoteResponse':
      if (core.role === 'precandidate') acceptVote(core, message)
      return 'ok'
    case 'timeoutNow':
      core.note('debug', 'timeoutNowIgnored', core.id, core.term, core.role, message.from)
      return 'ok'
    case 'readIndex':
    case 'transferLeader':
      return 'noLeader'
  }
  return 'ok'
}

function followLeader(core: Core, message: Message): StepResult {
  if (message.type === 'append') return acceptAppendRequest(core, message)
  if (message.type === 'heartbeat') acceptHeartbeat(core, message)
  else acceptSnapshot(core, message)
  return 'ok'
}

function forward(core: Core, message: Message, term: number): StepResult {
  core.send({ ...message, to: core.leader, term })
  return 'ok'
}

function forwardProposal(core: Core, message: Message): StepResult {
  if (!core.hasLeader()) {
    core.note('info', 'proposalDroppedNoLeader', core.id, core.term)
    return 'dropped'
  }
  if (core.config.disableProposalForwarding) {
    core.note('info', 'proposalNotForwarded', core.id, core.leader, core.term)
    return 'dropped'
  }
  return forward(core, message, 0)
}

function forgetLeader(core: Core): StepResult {
  // Forgetting makes votes possible at once, which a lease has promised not to happen.
  if (core.config.readOnly === 'lease') {
    core.note('error', 'forgetLeaderRefused')
    return 'dropped'
  }
  if (core.hasLeader()) {
    core.note('info', 'leaderForgotten', core.id, core.leader, core.term)
    core.leader = 0
  }
  return 'ok'
}

function acceptReadResponse(core: Core, message: Message): StepResult {
  const context = message.entries[0]?.data
  if (message.entries.length !== 1 || context === undefined) {
    const count = message.entries.length
    core.note('error', 'readResponseMalformed', core.id, message.from, count)
    return 'invalid'
  }
  core.readStates.push({ index: message.index, context })
  return 'ok'
}

function acknowledge(core: Core, to: MemberId, index: number): void {
  const response = core.draft('appendResponse', to)
  response.index = index
  core.sendAfterAppend(response)
}

/** AppendEntries (paper §5.3). */
function acceptAppendRequest(core: Core, message: Message): StepResult {
  const { log } = core
  const { from, index, logTerm, entries } = message
  // What is committed is known to match, however late the message.
  if (index < log.committed) {
    acknowledge(core, from, log.committed)
    return 'ok'
  }
  if (!log.hasEntry(index, logTerm)) {
    rejectAppend(core, message)
    return 'ok'
  }
  const conflict = log.findConflict(entries)
  if (conflict !== 0) {
    const fresh = conflict === index + 1 ? entries : entries.slice(conflict - index - 1)
    dropConfIndexes(core, conflict)
    log.append(fresh)
    trackConfChanges(core, fresh)
  }
  // Beyond the last entry of this message our log may differ from the leader's.
  const lastNew = index + entries.length
  log.commitTo(Math.min(message.commit, lastNew))
  acknowledge(core, from, lastNew)
  return 'ok'
}

/** Tells the leader the highest place where the logs may still agree. */
function rejectAppend(core: Core, message: Message): void {
  const { log } = core
  const { from, index, logTerm } = message
  const ownTerm = Math.max(log.term(index), 0)
  core.note('debug', 'appendRejected', core.id, ownTerm, index, logTerm, index, from)
  // All of the leader's entries up to the anchor are of its term or older, so ours of later terms
  // need not be tried one by one.
  const hint = log.findConflictByTerm(Math.min(index, log.lastIndex()), logTerm)
  const response = core.draft('appendResponse', from)
  response.index = index
  response.reject = true
  response.rejectHint = hint.index
  response.logTerm = hint.term
  core.sendAfterAppend(response)
}

function acceptHeartbeat(core: Core, message: Message): void {
  core.log.commitTo(message.commit)
  const response = core.draft('heartbeatResponse', message.from)
  response.context = message.context
  core.send(response)
}

function acceptSnapshot(core: Core, message: Message): void {
  const snapshot = message.snapshot!
  const { log } = core
  const { index, term } = snapshot.meta
  const isRestored = restore(core, snapshot)
  const code = isRestored ? 'snapshotRestoredByPeer' : 'snapshotIgnored'
  core.note('info', code, core.id, log.committed, index, term)
  acknowledge(core, message.from, isRestored ? log.lastIndex() : log.committed)
}

/** Replaces the log by the snapshot; false if there is no need, or no right, to do so. */
function restore(core: Core, snapshot: Snapshot): boolean {
  const { log } = core
  const { index, term, confState } = snapshot.meta
  if (index <= log.committed) return false
  if (!isMember(confState, core.id)) {
    core.note('warn', 'snapshotRestoreRefusedMember', core.id, confState)
    return false
  }
  const position = (): number[] => [log.committed, log.lastIndex(), log.lastTerm()]
  // Our log already holds everything up to the snapshot: it only learns that it is committed.
  if (log.hasEntry(index, term)) {
    core.note('info', 'snapshotFastForwarded', core.id, ...position(), index, term)
    log.commitTo(index)
    return false
  }
  log.restore(snapshot)
  core.confIndexes = []
  core.unscannedLast = 0
  restoreConfiguration(core, confState)
  core.note('info', 'snapshotRestored', core.id, ...position(), index, term)
  return true
}
