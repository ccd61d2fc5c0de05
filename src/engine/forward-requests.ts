import { NO_MEMBER } from '../raft/raft.ts'
import { type Answered, unreached } from './handling.ts'
import { callLeader } from './leader-calls.ts'
import type { StatusParts } from './status.ts'
import { CALLS } from './wire.ts'

/**
 * Has the leader, which may be this node, run what this node's user asks for. Sent once: what may
 * have reached a handler ends with outcome 'unknown' and is for the user to judge.
 */
export function forwardCall(
  parts: StatusParts,
  { bytes, timeoutMs }: { readonly bytes: Uint8Array; readonly timeoutMs: number },
  answer: Answered,
): void {
  const { core } = parts
  const { raft } = core
  if (raft.role === 'leader') {
    core.handling.hand(raft.id, bytes, answer)
  } else if (raft.leader === NO_MEMBER) {
    answer(unreached('there is no leader just now'), null)
  } else {
    callLeader(parts, CALLS.forward, { body: bytes, timeoutMs }, (error, answered) => {
      if (error === null) answer(null, answered?.slice() ?? new Uint8Array())
      else answer(error, null)
    })
  }
}
