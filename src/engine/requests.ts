import { ColmenaError } from '../base/errors.ts'
import { encodeDropDatabase } from '../command/command.ts'
import { readReply } from '../transport/transport.ts'
import type { Answer } from './answer.ts'
import { forwardCall } from './forward-requests.ts'
import { callLeader } from './leader-calls.ts'
import { awaitDeposition } from './leadership.ts'
import { changeMember } from './member-requests.ts'
import { engineMetrics } from './metrics.ts'
import type { EngineRequest } from './protocol.ts'
import { answerShipping } from './shipping.ts'
import { skipEntry } from './skip-requests.ts'
import { engineStatus, type StatusParts } from './status.ts'
import { endTrial, tryStatements } from './trial-requests.ts'
import { CALLS, decodeLeaderAnswer } from './wire.ts'

/** Answers the administrative requests of this node's user, and the leader's for others'. */
export function answerRequest(parts: StatusParts, request: EngineRequest, answer: Answer): void {
  const { core, config } = parts
  switch (request.method) {
    case 'status':
      answer(null, engineStatus(parts))
      break
    case 'members':
      answer(null, core.membership.status())
      break
    case 'metrics':
      answer(null, engineMetrics(parts))
      break
    case 'outcome':
      answer(null, core.applying.indexOf(config.origin, request.database, request.sequence))
      break
    case 'dropDatabase':
      dropDatabase(parts, request)
      answer(null, null)
      break
    case 'dropSettled':
      core.commands.drops.settled(request.request)
      answer(null, null)
      break
    case 'tryStatements':
      tryStatements(parts, request.step, answer)
      break
    case 'endTrial':
      endTrial(parts, request)
      answer(null, null)
      break
    case 'commit':
      core.commands.commits.add(request.number, request.bytes)
      core.schedule()
      answer(null, null)
      break
    case 'commitSettled':
      core.commands.commits.settled(request.number)
      answer(null, null)
      break
    case 'changeMember':
      changeMember(parts, request, (error) => answer(error, null))
      break
    case 'forward':
      forwardCall(parts, request, answer)
      break
    case 'rotate':
      parts.transport.rotate(request.security, (error) => answer(error, null))
      break
    case 'transferLeadership':
      transferLeadership(parts, request.to, answer)
      break
    case 'skip':
      skipEntry(parts, request, (error) => answer(error, null))
      break
    case 'readLog':
    case 'holdLog':
    case 'copyDatabases':
    case 'removeCopy':
      answerShipping(parts, request, answer)
      break
    case 'verify':
    case 'verified':
    case 'reinstall':
      answer(...answerAgreement(parts, request))
      break
  }
}

function dropDatabase(
  { core, config }: StatusParts,
  request: Extract<EngineRequest, { method: 'dropDatabase' }>,
): void {
  const command = encodeDropDatabase({ ...request, origin: config.origin })
  core.commands.drops.add(request.request, command)
  core.schedule()
}

function answerAgreement(
  { core }: StatusParts,
  request: Extract<EngineRequest, { method: 'verify' | 'verified' | 'reinstall' }>,
): Parameters<Answer> {
  const { agreement } = core
  if (request.method === 'verified') return [null, agreement.verified(request.key)]
  if (request.method === 'reinstall') {
    const refusal = agreement.giveUp()
    return [refusal, null]
  }
  if (agreement.verify(request.timeoutMs, request.key)) return [null, null]
  const message = 'this node is verifying already: wait for that to end'
  return [new ColmenaError('ERR_BUSY', message, { retryable: true }), null]
}

function transferLeadership(parts: StatusParts, to: string | null, answer: Answer): void {
  const { core, config } = parts
  const { raft, membership } = core
  if (raft.leader === 0) {
    answer(noLeader(), null)
    return
  }
  if (raft.role !== 'leader') {
    const body = Buffer.from(to ?? '', 'utf8')
    const timeoutMs = config.requestTimeoutMs
    const answered = readReply(decodeLeaderAnswer, (error, result) => {
      if (result === null) answer(error ?? noLeader(), null)
      else answer(result.kind === 'refused' ? result.error : null, null)
    })
    callLeader(parts, CALLS.transfer, { body, timeoutMs }, answered)
    return
  }
  if (to === null) {
    if (core.transferAway()) awaitTransfer(parts, answer)
    else answer(refusal('there is no other voter that is reachable'), null)
    return
  }
  const target = membership.memberOfNode(to)
  if (target === undefined || !membership.isVoter(target.memberId)) {
    const voters = [...membership.records()].filter((one) => membership.isVoter(one.memberId))
    const names = voters.map(({ nodeId }) => nodeId).join(', ')
    answer(refusal(`'${to}' is no voter of this cluster; the voters are ${names}`), null)
    return
  }
  if (target.memberId === raft.id) {
    answer(null, null)
    return
  }
  raft.transferLeader(target.memberId)
  core.schedule()
  awaitTransfer(parts, answer)
}

/** The core gives a transfer up after one election timeout; a little more to see it. */
function awaitTransfer({ core, config, ports }: StatusParts, answer: Answer): void {
  awaitDeposition(core.raft, ports.clock, 2 * config.electionTimeoutMs, (isDeposed) => {
    if (isDeposed) answer(null, null)
    else answer(refusal('the other voter did not take over in time; this node still leads'), null)
  })
}

function noLeader(): ColmenaError {
  return new ColmenaError('ERR_NO_LEADER', 'there is no leader just now', { retryable: true })
}

function refusal(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', `leadership can't be handed over: ${message}`)
}
