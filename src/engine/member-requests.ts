import { ColmenaError } from '../base/errors.ts'
import type { MemberId } from '../raft/raft.ts'
import { readReply } from '../transport/transport.ts'
import { callLeader } from './leader-calls.ts'
import { isChanged } from './member-changes.ts'
import type { MemberChange } from './protocol.ts'
import type { StatusParts } from './status.ts'
import { CALLS, decodeLeaderAnswer, encodeMemberChange, type LeaderAnswer } from './wire.ts'

const PAUSE_MS = 50

export interface MemberRequest {
  readonly change: MemberChange
  readonly nodeId: string
}

/**
 * Has the leader change a member, whoever leads by then, and waits until this node sees it. Asking
 * again is harmless, so every doubt on the way is answered by another try, up to the deadline.
 */
export function changeMember(
  parts: StatusParts,
  { change, nodeId }: MemberRequest,
  done: (error: ColmenaError | null) => void,
): void {
  const { core, config, ports } = parts
  const target = core.membership.memberOfNode(nodeId)
  if (target === undefined) {
    done(unknownMember(parts, nodeId))
    return
  }
  const id = target.memberId
  const deadlineMs = ports.clock.nowMs() + config.requestTimeoutMs
  const retry = (error: ColmenaError): void => {
    if (ports.clock.nowMs() >= deadlineMs) done(error)
    else ports.clock.setTimer(PAUSE_MS, ask)
  }
  const ask = (): void => {
    askLeader(parts, change, id, (error, answer) => {
      if (answer === null) retry(error ?? noLeader())
      else if (answer.kind === 'refused') done(answer.error)
      else if (answer.kind === 'elsewhere') retry(noLeader())
      else look()
    })
  }
  const look = (): void => {
    const { membership } = core
    // A node that has itself removed may never see it.
    const isSelf = change === 'remove' && id === config.memberId
    const isSeen = isSelf || isChanged(change, membership.record(id), membership.isVoter(id))
    if (isSeen || ports.clock.nowMs() >= deadlineMs) done(null)
    else ports.clock.setTimer(PAUSE_MS, look)
  }
  ask()
}

function askLeader(
  parts: StatusParts,
  change: MemberChange,
  id: MemberId,
  done: (error: ColmenaError | null, answer: LeaderAnswer | null) => void,
): void {
  const { core, config } = parts
  const { raft, membership } = core
  if (raft.role === 'leader') {
    membership.change(change, id, (answer) => done(null, answer))
    core.schedule()
  } else if (raft.leader === 0) {
    done(null, null)
  } else {
    const body = encodeMemberChange(change, id)
    const timeoutMs = config.requestTimeoutMs
    const answered = readReply(decodeLeaderAnswer, done)
    callLeader(parts, CALLS.changeMember, { body, timeoutMs }, answered)
  }
}

function unknownMember({ core }: StatusParts, nodeId: string): ColmenaError {
  const names = [...core.membership.records()].map((record) => record.nodeId).join(', ')
  const message = `'${nodeId}' is no member of this cluster; the members are ${names}`
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

function noLeader(): ColmenaError {
  return new ColmenaError('ERR_NO_LEADER', 'no leader changed the members in time', {
    retryable: true,
    outcome: 'unknown',
  })
}
