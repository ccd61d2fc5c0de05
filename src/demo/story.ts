/** What happens on a node, in one line of plain words. */

export interface Facts {
  /** Since the last fault: what the node is on its way to. */
  readonly stage: 'killed' | 'gone' | 'starting' | 'catching-up' | 'level-again' | 'steady'
  readonly isCutOff: boolean
  readonly isLearner: boolean
  readonly role: 'leader' | 'follower' | 'candidate'
  readonly leaderId: string | null
  readonly lagEntries: number
  /** Why the node applies nothing; null if it does. */
  readonly haltedReason: string | null
  /** How long it took to become level after the last fault. */
  readonly levelAfterMs: number
}

export function tellStory(facts: Facts): string {
  const { stage, isCutOff, lagEntries, haltedReason, levelAfterMs } = facts
  if (stage === 'killed') return 'Killed.'
  if (stage === 'gone') return 'Does not answer.'
  if (stage === 'starting') return 'Starting, reading its log.'
  if (haltedReason !== null) return `Applies nothing: ${haltedReason}.`
  if (isCutOff) return 'Cut off from the others: its own data can be read, writes wait.'
  if (stage === 'catching-up') return tellCatchingUp(lagEntries)
  if (stage === 'level-again') return `Level again after ${formatSeconds(levelAfterMs)}.`
  return tellRole(facts)
}

function tellCatchingUp(lagEntries: number): string {
  if (lagEntries === 0) return 'Looking for the leader.'
  const entries = lagEntries === 1 ? '1 entry' : `${lagEntries.toLocaleString('en')} entries`
  return `Behind by ${entries}, catching up.`
}

function tellRole({ role, isLearner, leaderId }: Facts): string {
  if (role === 'leader') return 'Leads: it puts every write in order.'
  if (role === 'candidate') return 'Asks the others to elect it.'
  if (leaderId === null) return 'Hears no leader.'
  return isLearner ? `Learner of ${leaderId}: all the data, no vote.` : `Follower of ${leaderId}.`
}

export function formatSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
