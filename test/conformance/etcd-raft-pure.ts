import {
  type ConfChangeOutcome,
  type ConfChangeRefusal,
  changeSimply,
  committedIndex,
  enterJoint,
  jointCommittedIndex,
  jointVoteResult,
  leaveJoint,
  type MemberId,
  quorumSize,
  voteResult,
} from '../../src/raft/raft.ts'
import { Tracker } from '../../src/raft/tracker.ts'
import { describeConfiguration, parseChanges } from './etcd-raft-format.ts'
import { describeLiveProgress } from './etcd-raft-log.ts'
import { type Directive, valuesOf } from './etcd-raft-scenario.ts'

/** Drivers for the scenarios of pure functions: quorums, and changes of the configuration. */

const REFUSALS: Readonly<Record<ConfChangeRefusal, string>> = {
  alreadyJoint: 'config is already joint',
  zeroVoters: "can't make a zero-voter config joint",
  notJoint: "can't leave a non-joint config",
  simpleWhileJoint: "can't apply simple config change in joint config",
  removedAllVoters: 'removed all voters',
  tooManyVoters: 'more than one voter changed without entering joint config',
}

/** Each file begins with an empty configuration; every command moves the last index by one. */
export function createConfChangeDriver(): (directive: Directive) => string {
  const tracker = new Tracker(10, Number.POSITIVE_INFINITY)
  let lastIndex = 0
  return (directive) => {
    const outcome = changeBy(tracker, directive)
    const index = lastIndex++
    if (typeof outcome === 'string') return `${outcome}\n`
    tracker.switchTo(outcome.state, outcome.added, index)
    const members = tracker.members.map((each) => `${each.id}: ${describeLiveProgress(each)}\n`)
    return `${describeConfiguration(tracker.state)}\n${members.join('')}`
  }
}

function changeBy(
  tracker: Tracker,
  { command, args, input }: Directive,
): ConfChangeOutcome | string {
  const changes = parseChanges(input)
  let outcome: ConfChangeOutcome | ConfChangeRefusal
  switch (command) {
    case 'simple':
      outcome = changeSimply(tracker.state, changes)
      break
    case 'enter-joint':
      outcome = enterJoint(tracker.state, valuesOf(args, 'autoleave')[0] === 'true', changes)
      break
    case 'leave-joint':
      if (changes.length > 0) return 'this command takes no input'
      outcome = leaveJoint(tracker.state)
      break
    default:
      return 'unknown command'
  }
  return typeof outcome === 'string' ? REFUSALS[outcome] : outcome
}

type Lookup = (id: MemberId) => number | undefined

/** Runs `committed` and `vote`, and cross-checks each answer in other ways; differences print. */
export function driveQuorum({ command, args }: Directive): string {
  const voters = [...new Set(valuesOf(args, 'cfg').map(Number))]
  const joined = valuesOf(args, 'cfgj')
  const outgoing = joined.length === 0 ? null : joined.filter((id) => id !== 'zero').map(Number)
  const all = [...new Set([...voters, ...(outgoing ?? [])])]
  const inputs = valuesOf(args, command === 'vote' ? 'votes' : 'idx')
  if (inputs.length !== all.length) {
    const ids = all.toSorted((a, b) => a - b).map((id) => `${id}:{}`)
    const values = inputs.map((value) => ({ y: '2', n: '1', _: '0' })[value] ?? value)
    const what = `map[${ids.join(' ')}]: [${values.join(' ')}]`
    return `error: mismatched input (explicit or _) for voters ${what}`
  }
  const byId = new Map(all.map((id, i) => [id, inputs[i]!]))
  if (command === 'vote') return driveVote(voters, outgoing, byId)
  const lookup: Lookup = (id) => (byId.get(id) === '_' ? undefined : Number(byId.get(id)))
  return describeAcks(all, lookup) + driveCommitted(voters, outgoing, lookup)
}

function driveVote(
  voters: readonly MemberId[],
  outgoing: readonly MemberId[] | null,
  byId: ReadonlyMap<MemberId, string>,
): string {
  const names = { won: 'VoteWon', lost: 'VoteLost', pending: 'VotePending' }
  const voteOf = (id: MemberId): boolean | undefined =>
    byId.get(id) === '_' ? undefined : byId.get(id) === 'y'
  if (outgoing === null) return `${names[voteResult(voters, voteOf)]}\n`
  const result = jointVoteResult(voters, outgoing, voteOf)
  const mirrored = jointVoteResult(outgoing, voters, voteOf)
  const remark = mirrored === result ? '' : `${names[mirrored]} <-- via symmetry\n`
  return `${remark}${names[result]}\n`
}

function driveCommitted(
  voters: readonly MemberId[],
  outgoing: readonly MemberId[] | null,
  lookup: Lookup,
): string {
  if (outgoing !== null) {
    const index = jointCommittedIndex(voters, outgoing, lookup)
    const mirrored = jointCommittedIndex(outgoing, voters, lookup)
    const remark = mirrored === index ? '' : `${nameIndex(mirrored)} <-- via symmetry\n`
    return `${remark}${nameIndex(index)}\n`
  }
  const index = committedIndex(voters, lookup)
  let remarks = ''
  const check = (other: number, how: string): void => {
    if (other !== index) remarks += `${nameIndex(other)} <-- ${how}\n`
  }
  check(countCommitted(voters, lookup), 'via alternative computation')
  check(jointCommittedIndex(voters, [], lookup), 'via zero-joint quorum')
  check(jointCommittedIndex(voters, voters, lookup), 'via self-joint quorum')
  for (const id of voters) {
    const own = lookup(id) ?? 0
    if (own === 0 || own >= index) continue
    // A voter below the result has no say in it: lowering it further changes nothing.
    for (const lower of [own - 1, 0]) {
      const overlaid = committedIndex(voters, (each) => (each === id ? lower : lookup(each)))
      check(overlaid, `overlaying ${id}->${lower}`)
    }
  }
  return `${remarks}${nameIndex(index)}\n`
}

/** The definition itself: the highest index that at least a quorum has reached. */
function countCommitted(voters: readonly MemberId[], lookup: Lookup): number {
  if (voters.length === 0) return Number.POSITIVE_INFINITY
  const reached = voters.map((id) => lookup(id) ?? 0)
  const isReached = (index: number): boolean =>
    reached.filter((each) => each >= index).length >= quorumSize(voters.length)
  return Math.max(0, ...reached.filter(isReached))
}

function nameIndex(index: number): string {
  return Number.isFinite(index) ? String(index) : '∞'
}

/** Bars as long as the number of voters that are behind. */
function describeAcks(ids: readonly MemberId[], lookup: Lookup): string {
  if (ids.length === 0) return '<empty majority quorum>'
  const count = ids.length
  let text = `${' '.repeat(count)}    idx\n`
  for (const id of ids.toSorted((a, b) => a - b)) {
    const index = lookup(id)
    const bar = ids.filter((each) => (lookup(each) ?? 0) < (index ?? 0)).length
    if (index === undefined) text += `?${' '.repeat(count)}`
    else text += `${'x'.repeat(bar)}>${' '.repeat(count - bar)}`
    text += ` ${String(index ?? 0).padStart(5)}    (id=${id})\n`
  }
  return text
}
