import { DecodeError } from '../base/bytes.ts'
import type { MemberId, Message, Raft } from '../raft/raft.ts'
import { decodeMessage } from '../transport/transport.ts'
import type { Agreement } from './agreement.ts'
import type { Amnesia } from './amnesia.ts'
import type { Commands } from './commands.ts'
import type { Freshness } from './freshness.ts'
import type { ReadRequests } from './read-requests.ts'
import type { Terms } from './terms.ts'
import type { VotePromises } from './vote-promises.ts'
import { decodeNumbers, FRAMES } from './wire.ts'

/** Whom frames are for. */
export interface FrameTakers {
  readonly raft: Raft
  readonly amnesia: Amnesia
  readonly terms: Terms
  readonly commands: Commands
  readonly reads: ReadRequests
  readonly freshness: Freshness
  readonly promises: VotePromises
  readonly agreement: Agreement
}

/** Hands over a member's frame; tells whether a turn is due for it. @throws DecodeError */
export function takeFrame(
  takers: FrameTakers,
  from: MemberId,
  kind: number,
  body: Uint8Array,
): boolean {
  const { raft, amnesia, terms, commands, reads, freshness, promises, agreement } = takers
  switch (kind) {
    case FRAMES.raft: {
      const message = decodeMessage(body)
      if (message === null || message.from !== from) throw new DecodeError('no raft message')
      if (message.type === 'readIndexResponse') checkReadContext(message)
      if (amnesia.isForgetful(message)) return false
      terms.heard(from)
      raft.step(message)
      return true
    }
    case FRAMES.forward:
    case FRAMES.forwardRestart:
      commands.forwarded(from, body, kind === FRAMES.forwardRestart)
      return true
    case FRAMES.refused:
      commands.refused(from, body)
      return false
    case FRAMES.commitQuery:
      reads.query(from, body)
      return true
    case FRAMES.commitAnswer:
      reads.queryAnswered(from, body)
      return true
    case FRAMES.stamp:
      freshness.stamped(from, body)
      return false
    case FRAMES.freshMark:
      freshness.marked(body)
      return true
    case FRAMES.askPromise:
      promises.asked(from, body)
      return false
    case FRAMES.promise:
      promises.promised(from, body)
      return true
    case FRAMES.comparison:
      agreement.frame(from, body)
      return false
    default:
      throw new DecodeError(`unknown frame kind ${kind}`)
  }
}

/** What comes back with a read is what this engine named it by: one number or two. */
function checkReadContext({ entries }: Message): void {
  for (const { data } of entries) decodeNumbers(data, data.length === 16 ? 2 : 1)
}
