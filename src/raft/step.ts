import type { StepResult } from './config.ts'
import type { Core } from './core.ts'
import { answerVoteRequest, tryCampaign } from './election.ts'
import { stepCandidate, stepFollower } from './follower.ts'
import { acceptApplied, advanceApplied, stepLeader } from './leader.ts'
import { createMessage, TRANSFER_MARK } from './message.ts'
import { type Message, NO_MEMBER, type Snapshot } from './types.ts'

/** The way of every message: its term, then what its type means to any role, then the role. */
export function stepMessage(core: Core, message: Message): StepResult {
  // Term 0 marks what comes from this node itself, and requests that hold for any term.
  if (message.term > core.term) {
    if (!acceptHigherTerm(core, message)) return 'ok'
  } else if (message.term !== 0 && message.term < core.term) {
    answerLowerTerm(core, message)
    return 'ok'
  }
  switch (message.type) {
    case 'hup':
      if (keepsVote(core)) return 'dropped'
      return tryCampaign(core, core.config.preVote ? 'preElection' : 'election') ? 'ok' : 'dropped'
    case 'storageAppendResponse':
      if (message.index !== 0) core.log.unstable.stableTo(message.index, message.logTerm)
      if (message.snapshot !== null) acceptAppliedSnapshot(core, message.snapshot)
      return 'ok'
    case 'storageApplyResponse':
      acceptApplied(core, message.entries)
      return 'ok'
    case 'vote':
    case 'preVote':
      answerVoteRequest(core, message)
      return 'ok'
  }
  if (core.role === 'leader') return stepLeader(core, message)
  return core.role === 'follower' ? stepFollower(core, message) : stepCandidate(core, message)
}

/** Passes of time, counted: the core has no clock. */
export function tick(core: Core): void {
  core.electionElapsed++
  if (core.role === 'leader') {
    tickLeader(core)
  } else if (
    core.isPromotable() &&
    core.electionElapsed >= core.randomizedElectionTicks * core.patience
  ) {
    // As soon as the promise has ended, and not a whole time-out later.
    if (keepsVote(core)) return
    core.electionElapsed = 0
    stepMessage(core, createMessage('hup', core.id, core.id))
  }
}

function tickLeader(core: Core): void {
  core.heartbeatElapsed++
  if (core.electionElapsed >= core.config.electionTicks) {
    core.electionElapsed = 0
    if (core.config.checkQuorum) {
      stepMessage(core, createMessage('checkQuorum', core.id, core.id))
      if (core.role !== 'leader') return
    }
    // A transfer that took this long has failed; proposals are welcome again.
    if (core.leadTransferee !== NO_MEMBER) core.abortTransfer()
  }
  if (core.heartbeatElapsed >= core.config.heartbeatTicks) {
    core.heartbeatElapsed = 0
    stepMessage(core, createMessage('beat', core.id, core.id))
  }
}

/** False if the message is to be ignored: a vote request within the lease of a known leader. */
function acceptHigherTerm(core: Core, message: Message): boolean {
  const { type, from, term } = message
  const isVoteRequest = type === 'vote' || type === 'preVote'
  if (isVoteRequest && (isInLease(core) || keepsVote(core)) && !isTransfer(message)) {
    const last = [core.log.lastTerm(), core.log.lastIndex()]
    const remaining = core.config.electionTicks - core.electionElapsed
    const args = [core.id, ...last, core.vote, type, from, message.logTerm, message.index]
    core.note('info', 'voteIgnoredInLease', ...args, core.term, remaining)
    return false
  }
  // A pre-vote only asks; and a granted one repeats the term that was asked about.
  if (type === 'preVote' || (type === 'preVoteResponse' && !message.reject)) return true
  core.note('info', 'higherTermSeen', core.id, core.term, type, from, term)
  const isFromLeader = type === 'append' || type === 'heartbeat' || type === 'snapshot'
  core.becomeFollower(term, isFromLeader ? from : NO_MEMBER)
  return true
}

/** Heard from a leader within the shortest election timeout (thesis §4.2.3). */
function isInLease(core: Core): boolean {
  const { checkQuorum, electionTicks } = core.config
  return checkQuorum && core.hasLeader() && core.electionElapsed < electionTicks
}

/** A promise binds whatever was heard since; of a sole voter nobody else needs one. */
function keepsVote(core: Core): boolean {
  return core.config.keepsVote?.() === true && !core.tracker.isSingleton()
}

function isTransfer(message: Message): boolean {
  const { context } = message
  if (context.length !== TRANSFER_MARK.length) return false
  for (let i = 0; i < context.length; i++) if (context[i] !== TRANSFER_MARK[i]) return false
  return true
}

function answerLowerTerm(core: Core, message: Message): void {
  const { type, from, term } = message
  const { checkQuorum, preVote } = core.config
  if ((checkQuorum || preVote) && (type === 'heartbeat' || type === 'append')) {
    // This member's term ran ahead while it was cut off, and now neither its campaigns (others are
    // in their lease) nor the leader (its term is lower) are heard. An empty answer tells the
    // leader the higher term, so that it steps down and the next election takes this member in.
    core.sendAfterAppend(core.draft('appendResponse', from))
  } else if (type === 'preVote') {
    // Silence could leave a pre-candidate with an old term and a short log stuck for ever.
    const last = [core.log.lastTerm(), core.log.lastIndex()]
    const args = [core.id, ...last, core.vote, type, from, message.logTerm, message.index]
    core.note('info', 'voteRejected', ...args, core.term)
    const response = core.draft('preVoteResponse', from)
    response.reject = true
    core.sendAfterAppend(response)
  } else if (type === 'storageAppendResponse') {
    // The entries may have been overwritten since, and overwritten again by the same ones, whose
    // write is still under way (etcd raft #8): only a word of this term proves them stable.
    if (message.index !== 0)
      core.note('info', 'lowerTermAppendIgnored', core.id, core.term, type, term)
    // A snapshot is committed state, whatever the term.
    if (message.snapshot !== null) acceptAppliedSnapshot(core, message.snapshot)
  } else {
    core.note('info', 'lowerTermIgnored', core.id, core.term, type, from, term)
  }
}

function acceptAppliedSnapshot(core: Core, snapshot: Snapshot): void {
  core.log.unstable.stableSnapshotTo(snapshot.meta.index)
  advanceApplied(core, snapshot.meta.index, 0)
}
