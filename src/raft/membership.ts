import { broadcastAppend, maybeCommit, maybeSendAppend } from './append.ts'
import { changeConfiguration } from './conf-change.ts'
import type { Core } from './core.ts'
import { confirmReads, releasePostponedReads } from './reads.ts'
import type { ConfChange, ConfState, MemberId } from './types.ts'

/**
 * Changes of the configuration. They take effect when they are applied, not when they are
 * appended; that this is safe rests on one change at a time and on no campaign while a committed
 * change is unapplied (etcd #7625).
 */

/** Applies one committed change; an impossible one changes nothing, on every node alike. */
export function applyConfChange(core: Core, change: ConfChange): ConfState {
  const outcome = changeConfiguration(core.tracker.state, change)
  if (typeof outcome === 'string') {
    core.note('error', 'confChangeInvalid', core.id, outcome, core.tracker.state)
    return core.tracker.state
  }
  switchConfiguration(core, outcome.state, outcome.added)
  return outcome.state
}

/** Starts over with this configuration: at a restart, or from a snapshot. */
export function restoreConfiguration(core: Core, state: ConfState): void {
  core.tracker.clear()
  switchConfiguration(core, state, [])
}

function switchConfiguration(core: Core, state: ConfState, added: readonly MemberId[]): void {
  const { tracker } = core
  tracker.switchTo(state, added, core.log.lastIndex())
  core.note('info', 'configurationSwitched', core.id, state)
  if (core.role !== 'leader') return
  const own = tracker.get(core.id)
  if (own === undefined || own.isLearner) {
    if (core.config.stepDownOnRemoval) core.becomeFollower(core.term, 0)
    return
  }
  if (state.voters.length === 0) return
  // Fewer voters may make more entries committed; new ones should not wait for a heartbeat.
  if (maybeCommit(core)) {
    releasePostponedReads(core)
    broadcastAppend(core)
  } else {
    for (const member of tracker.members) {
      if (member.id !== core.id) maybeSendAppend(core, member, false)
    }
  }
  confirmReads(core)
  if (core.leadTransferee !== 0 && !tracker.isVoter(core.leadTransferee)) core.abortTransfer()
}
