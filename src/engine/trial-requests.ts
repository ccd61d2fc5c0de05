import { ColmenaError } from '../base/errors.ts'
import { transactionEnded } from '../command/command.ts'
import { NO_MEMBER } from '../raft/raft.ts'
import { callLeader } from './leader-calls.ts'
import { trialKey } from './proposals.ts'
import type { TrialStep } from './protocol.ts'
import type { StatusParts } from './status.ts'
import { CALLS, encodeTrialName, encodeTrialStep } from './wire.ts'

type Answer = (error: ColmenaError | null, bytes: Uint8Array | null) => void

/** Has the leader, which may be this node, try statements of a transaction of this node's user. */
export function tryStatements(parts: StatusParts, step: TrialStep, answer: Answer): void {
  const { core, config } = parts
  const { raft } = core
  if (raft.role === 'leader') {
    core.commands.trials.step(raft.id, step, (error, bytes) => answer(asColmena(error), bytes))
    return
  }
  if (raft.leader === NO_MEMBER) {
    answer(unreachable(step, 'there is no leader just now'), null)
    return
  }
  const body = encodeTrialStep(step)
  const { requestTimeoutMs: timeoutMs } = config
  callLeader(parts, CALLS.tryStatements, { body, timeoutMs }, (error, bytes) => {
    if (error === null) answer(null, bytes ?? null)
    else if (isOfLeader(error, step)) answer(error, null)
    else answer(unreachable(step, error.message), null)
  })
}

/** What the leader said, not what became of the way there. Nothing is ever applied by a step. */
function isOfLeader({ code }: ColmenaError, { begins }: TrialStep): boolean {
  if (code === 'ERR_TX_ABORTED' || code === 'ERR_TOO_LARGE') return true
  return begins && code !== 'ERR_TIMEOUT' && code !== 'ERR_NO_LEADER'
}

/** Tells the leader, if it can be told: else the transaction ends by being idle. */
export function endTrial(
  { core, transport, config }: StatusParts,
  { database, number }: { readonly database: string; readonly number: number },
): void {
  const { raft } = core
  const key = trialKey(config.origin, number)
  if (raft.role === 'leader') core.commands.trials.end(database, key)
  else if (raft.leader !== NO_MEMBER) {
    const body = encodeTrialName({ database, key })
    transport.call(raft.leader, CALLS.endTrial, body, config.requestTimeoutMs, () => {})
  }
}

function asColmena(error: Error | null): ColmenaError | null {
  if (error === null || error instanceof ColmenaError) return error
  return new ColmenaError('ERR_FAILED', error.message, { cause: error })
}

function unreachable({ begins }: TrialStep, why: string): ColmenaError {
  if (begins) return new ColmenaError('ERR_NO_LEADER', why, { retryable: true })
  return transactionEnded(why)
}
