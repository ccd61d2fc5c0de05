import { appendProposals, broadcastAppend } from './append.ts'
import type { Core } from './core.ts'
import { invariant } from './invariant.ts'
import { createMessage, NO_BYTES, TRANSFER_MARK } from './message.ts'
import type { Message } from './types.ts'

/** Campaigns and votes (paper §5.2, §5.4.1), with pre-vote (thesis §9.6). */

export type CampaignKind = 'preElection' | 'election' | 'transfer'

/** Starts a campaign unless this member must not lead; false if it must not. */
export function tryCampaign(core: Core, kind: CampaignKind): boolean {
  if (core.role === 'leader') {
    core.note('debug', 'campaignRefusedLeader', core.id)
    return false
  }
  if (!core.isPromotable()) {
    core.note('warn', 'campaignRefusedUnpromotable', core.id)
    return false
  }
  if (hasUnappliedConfChange(core)) {
    core.note('warn', 'campaignRefusedConfChange', core.id, core.term)
    return false
  }
  core.note('info', 'campaignStarted', core.id, core.term)
  campaign(core, kind)
  return true
}

/**
 * A committed change that is not applied means that this member would count votes by an outdated
 * configuration. Entries from before this start are looked up; where storage has to fetch them
 * first the answer is yes, as applying them fetches them anyway and ends the doubt.
 */
function hasUnappliedConfChange(core: Core): boolean {
  const { log, confIndexes, unscannedLast } = core
  for (const index of confIndexes) {
    if (index > log.applied && index <= log.committed) return true
  }
  let next = log.applied + 1
  const end = Math.min(log.committed, unscannedLast) + 1
  while (next < end) {
    const entries = log.slice(next, end, core.config.committedBytesMax)
    if (typeof entries === 'string') return true
    for (const entry of entries) if (entry.type !== 'normal') return true
    next += entries.length
  }
  return false
}

function campaign(core: Core, kind: CampaignKind): void {
  const isPre = kind === 'preElection'
  if (isPre) core.becomePreCandidate()
  else core.becomeCandidate()
  // A pre-vote asks about the term that would come; only a real campaign enters it.
  const term = isPre ? core.term + 1 : core.term
  const type = isPre ? 'preVote' : 'vote'
  const lastIndex = core.log.lastIndex()
  const lastTerm = core.log.lastTerm()
  for (const id of core.tracker.voterIds()) {
    if (id === core.id) {
      // One's own vote counts like any other: once it is durable.
      const own = createMessage(isPre ? 'preVoteResponse' : 'voteResponse', id, id)
      own.term = term
      core.sendAfterAppend(own)
      continue
    }
    core.note('info', 'voteRequested', core.id, lastTerm, lastIndex, type, id, core.term)
    const request = createMessage(type, core.id, id)
    request.term = term
    request.index = lastIndex
    request.logTerm = lastTerm
    request.context = kind === 'transfer' ? TRANSFER_MARK : NO_BYTES
    core.send(request)
  }
}

/** Answers a vote or pre-vote request whose term is not below ours. */
export function answerVoteRequest(core: Core, message: Message): void {
  const { log } = core
  const isPre = message.type === 'preVote'
  const canVote =
    core.vote === message.from ||
    (core.vote === 0 && !core.hasLeader()) ||
    (isPre && message.term > core.term)
  // Learners answer too: the candidate may know of a promotion that this member has not applied.
  const isGranted = canVote && log.isUpToDate(message.index, message.logTerm)
  const { id, vote, term } = core
  const { type, from, logTerm, index } = message
  const last = [log.lastTerm(), log.lastIndex()]
  const code = isGranted ? 'voteCast' : 'voteRejected'
  core.note('info', code, id, ...last, vote, type, from, logTerm, index, term)
  const response = createMessage(isPre ? 'preVoteResponse' : 'voteResponse', id, from)
  // A grant carries the term it was asked for, or a candidate of a later term would take it for
  // an outdated message; a refusal teaches the candidate our term.
  response.term = isGranted ? message.term : term
  response.reject = !isGranted
  core.sendAfterAppend(response)
  if (isGranted && !isPre) {
    core.electionElapsed = 0
    core.vote = from
  }
}

/** Counts an answer to our campaign, and acts once the outcome is certain. */
export function acceptVote(core: Core, message: Message): void {
  const { from, type, reject } = message
  const code = reject ? 'voteRefusalReceived' : 'voteReceived'
  core.note('info', code, core.id, type, from, core.term)
  core.tracker.recordVote(from, !reject)
  const { granted, rejected, result } = core.tracker.tallyVotes()
  core.note('info', 'votesTallied', core.id, granted, type, rejected)
  if (result === 'lost') {
    core.becomeFollower(core.term, 0)
  } else if (result === 'won') {
    if (core.role === 'precandidate') {
      campaign(core, 'election')
    } else {
      becomeLeader(core)
      broadcastAppend(core)
    }
  }
}

/** A leader begins with an entry of its own term, as only that commits what came before. */
function becomeLeader(core: Core): void {
  core.enterLeadership()
  const isAppended = appendProposals(core, [{ type: 'normal', data: NO_BYTES }])
  invariant(isAppended, 'an empty entry is never refused')
  core.note('info', 'becameLeader', core.id, core.term)
}
