import { ColmenaError } from '../base/errors.ts'
import { NO_MEMBER } from '../raft/raft.ts'
import { type Answered, unreached } from './handling.ts'
import type { StatusParts } from './status.ts'
import { CALLS } from './wire.ts'

/**
 * Has the leader, which may be this node, run what this node's user asks for. Sent once: what may
 * have reached a handler ends with outcome 'unknown' and is for the user to judge.
 */
export function forwardCall(
  { core, transport }: StatusParts,
  { bytes, timeoutMs }: { readonly bytes: Uint8Array; readonly timeoutMs: number },
  answer: Answered,
): void {
  const { raft } = core
  if (raft.role === 'leader') {
    core.handling.hand(raft.id, bytes, answer)
  } else if (raft.leader === NO_MEMBER) {
    answer(unreached('there is no leader just now'), null)
  } else {
    transport.call(raft.leader, CALLS.forward, bytes, timeoutMs, (error, answered) => {
      if (error === null) answer(null, answered?.slice() ?? new Uint8Array())
      else answer(asOutcome(error), null)
    })
  }
}

/** What the way to the leader came to; what the leader said is kept. */
function asOutcome(error: ColmenaError): ColmenaError {
  const { code, message, outcome } = error
  if (code !== 'ERR_FAILED' && code !== 'ERR_CLOSED') return error
  if (outcome === 'not-applied') return unreached(message)
  return new ColmenaError(
    'ERR_NO_LEADER',
    `the leader was lost before its answer came, and whether it ran is not known: ${message}`,
    { retryable: true, outcome: 'unknown' },
  )
}
