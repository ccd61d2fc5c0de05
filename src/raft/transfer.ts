import { sendAppend } from './append.ts'
import type { StepResult } from './config.ts'
import type { Core } from './core.ts'
import type { Progress } from './progress.ts'
import { type MemberId, NO_MEMBER } from './types.ts'

/** Handing leadership to a chosen member (thesis §3.10). */

export function startTransfer(core: Core, target: Progress): StepResult {
  const { id } = target
  if (target.isLearner) {
    core.note('debug', 'transferToLearner', core.id)
    return 'dropped'
  }
  const previous = core.leadTransferee
  if (previous === id) {
    core.note('info', 'transferAlreadyPending', core.id, core.term, id)
    return 'ok'
  }
  if (previous !== NO_MEMBER) {
    core.abortTransfer()
    core.note('info', 'transferAborted', core.id, core.term, previous)
  }
  if (id === core.id) {
    core.note('debug', 'transferToSelf', core.id)
    return 'ok'
  }
  core.note('info', 'transferStarted', core.id, core.term, id)
  // It has one election timeout to succeed; until then proposals are refused.
  core.electionElapsed = 0
  core.leadTransferee = id
  if (target.match === core.log.lastIndex()) {
    sendTimeoutNow(core, id)
    core.note('info', 'timeoutNowSentAtOnce', core.id, id)
  } else {
    sendAppend(core, target)
  }
  return 'ok'
}

/** The target acknowledged something: once it has the whole log it may campaign. */
export function continueTransfer(core: Core, member: Progress): void {
  if (member.id !== core.leadTransferee || member.match !== core.log.lastIndex()) return
  core.note('info', 'timeoutNowSentAfterAck', core.id, member.id)
  sendTimeoutNow(core, member.id)
}

function sendTimeoutNow(core: Core, to: MemberId): void {
  core.leaseRevoked = true
  core.send(core.draft('timeoutNow', to))
}
