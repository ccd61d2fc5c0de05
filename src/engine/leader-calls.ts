import { ColmenaError, type ErrorCode } from '../base/errors.ts'
import type { Reply } from '../transport/transport.ts'
import type { StatusParts } from './status.ts'

/**
 * What a connection ends with, or never comes to be for. No leader answers a call with one of
 * these, and to whoever calls they say one thing: no leader could be reached.
 */
const OF_THE_WAY: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_FAILED',
  'ERR_CLOSED',
  'ERR_HANDSHAKE',
  'ERR_ALREADY_OPEN',
  'ERR_OTHER_CLUSTER',
  'ERR_OTHER_EXTENSIONS',
])

/**
 * Calls the leader, which is another node. What it says comes as it is, and so does ERR_TIMEOUT;
 * whatever else became of the way there or back is ERR_NO_LEADER.
 */
export function callLeader(
  { core, transport }: Pick<StatusParts, 'core' | 'transport'>,
  kind: number,
  { body, timeoutMs }: { readonly body: Uint8Array; readonly timeoutMs: number },
  done: Reply,
): void {
  transport.call(core.raft.leader, kind, body, timeoutMs, (error, bytes) => {
    if (error === null) done(null, bytes)
    else done(OF_THE_WAY.has(error.code) ? unreached(error) : error)
  })
}

function unreached({ message, outcome, cause }: ColmenaError): ColmenaError {
  const what =
    outcome === 'not-applied'
      ? 'the leader could not be reached'
      : 'the leader was lost before its answer came'
  const text = `${what}: ${message}`
  return new ColmenaError('ERR_NO_LEADER', text, { retryable: true, outcome, cause })
}
