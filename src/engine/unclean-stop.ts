import { ColmenaError } from '../base/errors.ts'
import type { Done } from '../base/ports.ts'
import { decodeMemberRecords, type MemberRecord } from '../command/command.ts'
import { type Recovered, UNSYNCED_ENTRIES_MAX } from '../log/log.ts'
import {
  type ConfState,
  decodeConfChange,
  type Entry,
  type HardState,
  type MemberId,
} from '../raft/raft.ts'
import type { Joining } from './joining.ts'
import type { ReplicaState } from './ports.ts'
import type { EngineConfig, EngineToUser } from './protocol.ts'
import { recordOf } from './settings.ts'

export interface ComingBack {
  readonly config: EngineConfig
  readonly recovered: Recovered
  readonly state: ReplicaState
  readonly toUser: (message: EngineToUser) => void
  /** Nobody else is there: go on with what is held. */
  readonly asAlone: (hardState: HardState) => void
  /** From here on this node is another one to those it meets. */
  readonly asAnother: (change: Pick<EngineConfig, 'memberId' | 'joinAddresses'>) => Joining
  /** The cluster has taken the other one in: this one is over. */
  readonly replaced: () => void
  readonly fail: (error: Error) => void
}

/**
 * A relaxed node that stopped without closing may have forgotten what it acknowledged, so it must
 * neither vote nor acknowledge under its old id again. A member asks its cluster to be taken in
 * under a new one, in place of the old; only once a leader has done so, which takes a majority
 * without it, is what it holds of no use to anybody. Where there is no such leader it waits, and
 * keeps everything: it may be the last that holds an entry. A node that is alone goes on with what
 * it holds, as nobody ever held it to anything.
 */
export function comeBack(parts: ComingBack): void {
  const { config, recovered, state, toUser, asAlone } = parts
  if (!isAlone(config.memberId, state, recovered)) {
    const message = describeWait(config.nodeId)
    toUser({ kind: 'warning', code: 'ERR_UNCLEAN_STOP', message })
    askToBeReplaced(parts)
    return
  }
  passOverLost(recovered, state, (error, passed) => {
    // A failed log has told of it already, through its `fatal`.
    if (error !== null) return
    toUser({ kind: 'lossKept', message: describeLoss(passed, state.highestApplied) })
    asAlone(passed.hardState)
  })
}

function askToBeReplaced({ config, recovered, state, ...calls }: ComingBack): void {
  const { memberId, uncleanStop, bind } = config
  const joinAddresses = otherAddresses(config, state, recovered)
  const known = state.members.find((member) => member.memberId === memberId)
  const another = uncleanStop?.newMemberId ?? memberId
  const wantedRole = known?.wantedRole ?? config.joinAs
  const record = { ...recordOf(config), memberId: another, wantedRole }
  const failed = (reason: string): void => calls.fail(uncleanStopError(config, recovered, reason))
  if (bind === null || joinAddresses.length === 0) {
    failed('it knows no address of another member')
    return
  }
  const becomeAnother = (): void => {
    calls.toUser({ kind: 'replaced', memberId: another, addresses: joinAddresses })
    calls.replaced()
  }
  if (isStranger(state, recovered)) {
    becomeAnother()
    return
  }
  const joining = calls.asAnother({ memberId: another, joinAddresses })
  joining.join(record, memberId, '', (error) => {
    if (error?.code === 'ERR_REMOVED') calls.fail(error)
    else if (error !== null) failed(error.message)
    else becomeAnother()
  })
}

/**
 * Whether it stopped before it knew of any configuration. It votes by an entry or a snapshot, which
 * it synced before it acknowledged anything behind: so nobody counted on what it holds, and its
 * cluster may never have heard of it.
 */
function isStranger({ confState }: ReplicaState, { confChanges }: Recovered): boolean {
  return membersOf(confState).length === 0 && confChanges.length === 0
}

const NOTHING = new Uint8Array()

/**
 * Whether this node decides alone. What it may have forgotten is no change of the configuration:
 * those are synced by relaxed logs too, and may be in the log without being applied.
 */
export function isAlone(id: MemberId, state: ReplicaState, recovered: Recovered): boolean {
  const members = membersOf(state.confState)
  const newest = recovered.confChanges.at(-1)?.index ?? 0
  return members.length === 1 && members[0] === id && newest <= state.confIndex
}

function membersOf(confState: ConfState): readonly MemberId[] {
  const { voters, learners, votersOutgoing, learnersNext } = confState
  return [...voters, ...learners, ...votersOutgoing, ...learnersNext]
}

/** What a node that is alone lost at most, and where it goes on. */
interface PassedOver {
  /** Of the last entry that the log still has. */
  readonly lastIndex: number
  readonly nextIndex: number
  readonly hardState: HardState
}

/**
 * Fills the log with empty entries beyond each index that may have been given away, and beyond what
 * the databases hold: so an index names one write, also for who reads changes from one on. They are
 * of a term that is over, as the lost ones were, and durable with the new one.
 */
function passOverLost(
  { log, hardState }: Recovered,
  { highestApplied }: ReplicaState,
  done: (error: Error | null, passed: PassedOver) => void,
): void {
  const { lastIndex } = log
  const end = Math.max(lastIndex + UNSYNCED_ENTRIES_MAX, highestApplied)
  const entries = Array.from({ length: end - lastIndex }, (_, at): Entry => {
    return { index: lastIndex + 1 + at, term: hardState.term, type: 'normal', data: NOTHING }
  })
  const next = { ...hardState, term: hardState.term + 1, vote: 0 }
  const appended: Done = (error) => done(error, { lastIndex, nextIndex: end + 1, hardState: next })
  log.append({ entries, hardState: next, snapshot: null, mustSync: true }, appended)
}

function describeLoss({ lastIndex, nextIndex }: PassedOver, highestApplied: number): string {
  const ahead =
    highestApplied > lastIndex ? `, the databases some entries up to ${highestApplied}` : ''
  return (
    "this node stopped without closing while its durability was 'relaxed'. Its log holds entries " +
    `up to ${lastIndex}${ahead}: what it acknowledged after that, in the 100 ms before it ` +
    `stopped, is lost, at most ${UNSYNCED_ENTRIES_MAX} entries. It goes on at index ` +
    `${nextIndex}, so that no index names two writes`
  )
}

function describeWait(nodeId: string): string {
  return (
    `node '${nodeId}' stopped without closing while its durability was 'relaxed', and may have ` +
    'forgotten what it acknowledged: it asks its cluster to be taken in again as a new member, ' +
    'and keeps what it holds until then'
  )
}

/**
 * Where the others can be asked: those that the databases know, and those that the log has taken
 * in, which databases that lost what they had not synced know nothing of.
 */
function otherAddresses(
  config: EngineConfig,
  state: ReplicaState,
  { confChanges }: Recovered,
): readonly string[] {
  const joined = confChanges.flatMap(({ data }) => recordsOf(data))
  const known = [...state.members, ...joined]
    .filter(({ memberId, address }) => memberId !== config.memberId && address !== '')
    .map(({ address }) => address)
  return [...new Set([...known, ...config.joinAddresses])].filter(
    (address) => address !== config.advertise,
  )
}

function recordsOf(data: Uint8Array): readonly MemberRecord[] {
  const context = decodeConfChange(data)?.context ?? NOTHING
  return context.length === 0 ? [] : decodeMemberRecords(context)
}

/** Nobody took this node in again, and nothing was deleted. */
function uncleanStopError(
  { nodeId, uncleanStop }: EngineConfig,
  { log, hardState }: Recovered,
  reason: string,
): ColmenaError {
  return new ColmenaError(
    'ERR_UNCLEAN_STOP',
    `node '${nodeId}' stopped without closing while its durability was 'relaxed', may have ` +
      `forgotten what it acknowledged, and no leader took it in again (${reason}). Nothing was ` +
      'deleted. Start the other members: once a majority of voters that did not stop like this ' +
      'has a leader, this node joins it by itself. If too many stopped at once for that, some ' +
      'of what was acknowledged in the last 100 ms may be lost; to go on all the same open as ' +
      'few of them as a majority still needs, those with the newest log, each with its own ' +
      `acceptLoss. This one's log ends at entry ${log.lastIndex} of term ` +
      `${log.term(log.lastIndex)}, in term ${hardState.term}: ` +
      `acceptLoss: '${uncleanStop?.token}'`,
    { retryable: true },
  )
}
