import { jointVoteResult } from './quorum.ts'
import type { ConfChange, ConfChangeSingle, ConfState, MemberId } from './types.ts'

/**
 * Membership as pure functions from configuration to configuration (thesis §4, with etcd's
 * simple, joint and auto-leaving transitions). Every node runs these on the same entries in the
 * same order, so they look at nothing but their arguments.
 */

export const EMPTY_CONF_STATE: ConfState = Object.freeze({
  voters: Object.freeze([]),
  learners: Object.freeze([]),
  votersOutgoing: Object.freeze([]),
  learnersNext: Object.freeze([]),
  autoLeave: false,
})

/** Why a change cannot be made to a configuration. */
export type ConfChangeRefusal =
  | 'alreadyJoint'
  | 'zeroVoters'
  | 'notJoint'
  | 'simpleWhileJoint'
  | 'removedAllVoters'
  | 'tooManyVoters'

export interface ConfChangeOutcome {
  readonly state: ConfState
  /** Members that are new here, even if the same change had removed them before. */
  readonly added: readonly MemberId[]
}

/** Half-way between two configurations: decisions need a majority of both. */
export function isJoint(state: ConfState): boolean {
  return state.votersOutgoing.length > 0
}

/** Counts in either half. */
export function isVoter(state: ConfState, id: MemberId): boolean {
  return state.voters.includes(id) || state.votersOutgoing.includes(id)
}

export function isMember(state: ConfState, id: MemberId): boolean {
  return isVoter(state, id) || state.learners.includes(id)
}

/** Whether the members for which `isLive` holds can decide, in both halves if it is joint. */
export function hasQuorum(state: ConfState, isLive: (id: MemberId) => boolean): boolean {
  return jointVoteResult(state.voters, state.votersOutgoing, isLive) === 'won'
}

/** Everything that a well-formed configuration promises; guards what comes from a snapshot. */
export function isWellFormed(state: ConfState): boolean {
  const { voters, votersOutgoing, learners, learnersNext, autoLeave } = state
  if (typeof autoLeave !== 'boolean') return false
  for (const ids of [voters, votersOutgoing, learners, learnersNext]) {
    if (!Array.isArray(ids)) return false
    for (let i = 0; i < ids.length; i++) {
      if (!Number.isSafeInteger(ids[i]) || ids[i]! <= (i === 0 ? 0 : ids[i - 1]!)) return false
    }
  }
  if (voters.length === 0) return votersOutgoing.length + learners.length === 0
  if (learners.some((id) => isVoter(state, id))) return false
  if (learnersNext.some((id) => !votersOutgoing.includes(id) || voters.includes(id))) return false
  return isJoint(state) || (learnersNext.length === 0 && !autoLeave)
}

/** The configuration that `change` leads to, or why it cannot be made. */
export function changeConfiguration(
  state: ConfState,
  change: ConfChange,
): ConfChangeOutcome | ConfChangeRefusal {
  const { transition, changes } = change
  if (transition === 'auto' && changes.length === 0) return leaveJoint(state)
  if (transition !== 'auto' || changes.length > 1) {
    return enterJoint(state, transition !== 'jointExplicit', changes)
  }
  return changeSimply(state, changes)
}

/**
 * The configuration after an entry was applied. An invalid change changes nothing: it is in the
 * log of every node, and a node that threw on it would throw again after each restart.
 */
export function applyConfChangeToState(state: ConfState, change: ConfChange): ConfState {
  const outcome = changeConfiguration(state, change)
  return typeof outcome === 'string' ? state : outcome.state
}

export function enterJoint(
  state: ConfState,
  autoLeave: boolean,
  changes: readonly ConfChangeSingle[],
): ConfChangeOutcome | ConfChangeRefusal {
  if (isJoint(state)) return 'alreadyJoint'
  if (state.voters.length === 0) return 'zeroVoters'
  const draft = new Draft(state)
  draft.outgoing = new Set(state.voters)
  if (!draft.change(changes)) return 'removedAllVoters'
  return draft.finish(autoLeave)
}

export function leaveJoint(state: ConfState): ConfChangeOutcome | ConfChangeRefusal {
  if (!isJoint(state)) return 'notJoint'
  const draft = new Draft(state)
  for (const id of draft.learnersNext) draft.learners.add(id)
  draft.learnersNext.clear()
  draft.outgoing.clear()
  return draft.finish(false)
}

/** One voter at most may come or go, so that old and new majorities always overlap. */
export function changeSimply(
  state: ConfState,
  changes: readonly ConfChangeSingle[],
): ConfChangeOutcome | ConfChangeRefusal {
  if (isJoint(state)) return 'simpleWhileJoint'
  const draft = new Draft(state)
  if (!draft.change(changes)) return 'removedAllVoters'
  const left = state.voters.filter((id) => !draft.voters.has(id)).length
  const joined = draft.voters.size - (state.voters.length - left)
  if (left + joined > 1) return 'tooManyVoters'
  return draft.finish(false)
}

class Draft {
  readonly voters: Set<MemberId>
  readonly learners: Set<MemberId>
  readonly learnersNext: Set<MemberId>
  outgoing: Set<MemberId>
  readonly #added = new Set<MemberId>()

  constructor(state: ConfState) {
    this.voters = new Set(state.voters)
    this.learners = new Set(state.learners)
    this.learnersNext = new Set(state.learnersNext)
    this.outgoing = new Set(state.votersOutgoing)
  }

  /** Applies the changes in order; false if no voter would be left. */
  change(changes: readonly ConfChangeSingle[]): boolean {
    for (const { type, id } of changes) {
      // An owner that decides against a change it already proposed blanks its id.
      if (id === 0) continue
      if (type === 'addNode') this.#addVoter(id)
      else if (type === 'addLearner') this.#addLearner(id)
      else if (type === 'removeNode') this.#remove(id)
    }
    return this.voters.size > 0
  }

  finish(autoLeave: boolean): ConfChangeOutcome {
    const state = {
      voters: sorted(this.voters),
      learners: sorted(this.learners),
      votersOutgoing: sorted(this.outgoing),
      learnersNext: sorted(this.learnersNext),
      autoLeave,
    }
    return { state, added: sorted(this.#added) }
  }

  #has(id: MemberId): boolean {
    return this.voters.has(id) || this.outgoing.has(id) || this.learners.has(id)
  }

  #addVoter(id: MemberId): void {
    if (!this.#has(id)) this.#added.add(id)
    this.learners.delete(id)
    this.learnersNext.delete(id)
    this.voters.add(id)
  }

  #addLearner(id: MemberId): void {
    if (this.learners.has(id)) return
    if (!this.#has(id)) this.#added.add(id)
    this.voters.delete(id)
    this.learnersNext.delete(id)
    // A voter of the outgoing half stays one until that half is left, so no member is ever both.
    if (this.outgoing.has(id)) this.learnersNext.add(id)
    else this.learners.add(id)
  }

  #remove(id: MemberId): void {
    this.voters.delete(id)
    this.learners.delete(id)
    this.learnersNext.delete(id)
    if (!this.outgoing.has(id)) this.#added.delete(id)
  }
}

function sorted(ids: ReadonlySet<MemberId>): MemberId[] {
  return [...ids].sort((a, b) => a - b)
}
