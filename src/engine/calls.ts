import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { MemberId } from '../raft/raft.ts'
import type { Reply } from '../transport/transport.ts'
import { answerIsMember } from './removal-watch.ts'
import { answerRequest } from './requests.ts'
import { answerSkipCall } from './skip-requests.ts'
import type { StatusParts } from './status.ts'
import {
  CALLS,
  decodeJoin,
  decodeMemberChange,
  decodeNumbers,
  decodeRejoin,
  decodeTrialName,
  decodeTrialStep,
  encodeLeaderAnswer,
  encodeMeetAnswer,
} from './wire.ts'

/** Answers what other processes ask: members, and nodes that want to become one. */
export function answerCall(
  parts: StatusParts,
  from: MemberId,
  kind: number,
  body: Uint8Array,
  reply: Reply,
): void {
  const { core, config } = parts
  switch (kind) {
    case CALLS.meet: {
      const { memberId } = config
      const leaderAddress = core.membership.record(core.raft.leader)?.address ?? ''
      const clusterId = Buffer.from(config.clusterId, 'hex')
      reply(null, encodeMeetAnswer({ kind: 'member', clusterId, memberId, leaderAddress }))
      break
    }
    case CALLS.join:
    case CALLS.rejoin:
      answerJoin(parts, kind, body, reply)
      break
    case CALLS.transfer: {
      const to = Buffer.from(body).toString('utf8')
      const request = { method: 'transferLeadership', to: to === '' ? null : to } as const
      answerRequest(parts, request, (error) => {
        reply(
          null,
          encodeLeaderAnswer(error === null ? { kind: 'done' } : { kind: 'refused', error }),
        )
      })
      break
    }
    case CALLS.changeMember:
      answerChange(parts, body, reply)
      break
    case CALLS.tryStatements:
    case CALLS.endTrial:
      answerTrial(parts, from, kind, body, reply)
      break
    case CALLS.forward:
      core.handling.hand(from, body, (error, bytes) => reply(error, bytes ?? undefined))
      break
    case CALLS.verify:
    case CALLS.reinstall:
      answerAgreement(parts, from, kind, body, reply)
      break
    case CALLS.skip:
    case CALLS.skipStand:
    case CALLS.skipRelease:
      answerSkip(parts, kind, body, reply)
      break
    case CALLS.isMember:
      reply(null, answerIsMember(core.raft, core.membership, body))
      break
    default:
      reply(new ColmenaError('ERR_UNSUPPORTED_FORMAT', `unknown call ${kind}: update this node`))
  }
}

function answerAgreement(
  { core }: StatusParts,
  from: MemberId,
  kind: number,
  body: Uint8Array,
  reply: Reply,
): void {
  const { agreement, snapshots, raft, membership } = core
  try {
    if (kind === CALLS.verify) {
      agreement.answer(body, reply)
      return
    }
    const [index = 0] = decodeNumbers(body, 1)
    const isMember = membership.record(from) !== undefined
    if (raft.role !== 'leader' || agreement.isDivergent || !isMember) {
      reply(new ColmenaError('ERR_NO_LEADER', 'this node has no copy to give', { retryable: true }))
      return
    }
    snapshots.offer(from, index)
    reply(null, new Uint8Array())
  } catch (error) {
    reply(undecodable('not a comparison', error))
  }
}

function answerTrial(
  { core }: StatusParts,
  from: MemberId,
  kind: number,
  body: Uint8Array,
  reply: Reply,
): void {
  const { trials } = core.commands
  try {
    if (kind === CALLS.endTrial) {
      const { database, key } = decodeTrialName(body)
      trials.end(database, key)
      reply(null, new Uint8Array())
      return
    }
    trials.step(from, decodeTrialStep(body), (error, answer) => {
      if (error === null || error instanceof ColmenaError) reply(error, answer ?? undefined)
      else reply(new ColmenaError('ERR_FAILED', error.message))
    })
  } catch (error) {
    reply(undecodable('not a transaction', error))
  }
}

function answerSkip(parts: StatusParts, kind: number, body: Uint8Array, reply: Reply): void {
  try {
    answerSkipCall(parts, kind, body, reply)
  } catch (error) {
    reply(undecodable('no entry to skip', error))
  }
}

function answerChange({ core }: StatusParts, body: Uint8Array, reply: Reply): void {
  try {
    const { change, id } = decodeMemberChange(body)
    core.membership.change(change, id, (answer) => reply(null, encodeLeaderAnswer(answer)))
  } catch (error) {
    reply(undecodable('not a change of a member', error))
  }
  core.schedule()
}

function answerJoin({ core }: StatusParts, kind: number, body: Uint8Array, reply: Reply): void {
  try {
    const isNew = kind === CALLS.join
    const { replaced, record } = isNew
      ? { replaced: null, record: decodeJoin(body) }
      : decodeRejoin(body)
    const { nodeId, address, wantedRole } = record
    core.decisions.say('joinAsked', { nodeId, address, wantedRole })
    core.membership.join(record, replaced, (answer) => {
      core.decisions.say('joinAnswered', { nodeId, answer: answer.kind })
      reply(null, encodeLeaderAnswer(answer))
    })
  } catch (error) {
    reply(undecodable('not a join', error))
  }
  core.schedule()
}

/** What a caller hears whose bytes could not be read. @throws any other error */
function undecodable(what: string, error: unknown): ColmenaError {
  if (!(error instanceof DecodeError)) throw error
  return new ColmenaError('ERR_INVALID_ARGUMENT', `${what}: ${error.message}`)
}
