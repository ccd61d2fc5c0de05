import type { MemberId, Message, Raft } from '../raft/raft.ts'
import type { Refusal as HandshakeRefusal, PeerHello } from '../transport/transport.ts'

interface KnownLife {
  readonly incarnation: number
  readonly bootNonce: string
}

export interface AmnesiaOptions {
  readonly raft: Raft
  readonly nodeId: (id: MemberId) => string
  readonly warning: (code: string, message: string) => void
}

/**
 * Members that forgot what they had acknowledged: a data directory put back from a copy, or a disk
 * that lost what it had synced. Such a member may vote for a leader that lacks committed entries,
 * so it is not listened to. Its identity is used up: it has to join again as a new member.
 */
export class Amnesia {
  readonly #options: AmnesiaOptions
  /** The newest life of each member that introduced itself to this process. */
  readonly #lives = new Map<MemberId, KnownLife>()
  /** Members whose log ended before what they had acknowledged to this leader. */
  readonly #forgetful = new Set<MemberId>()

  constructor(options: AmnesiaOptions) {
    this.#options = options
  }

  /** Each open of a data directory counts its incarnation up: an older or equal one is a copy. */
  greet(hello: PeerHello): HandshakeRefusal | null {
    const { memberId, incarnation } = hello
    if (memberId === 0) return null
    if (this.#forgetful.has(memberId)) return this.#refusal(hello, 'its log had lost entries')
    const bootNonce = Buffer.from(hello.bootNonce).toString('hex')
    const known = this.#lives.get(memberId)
    if (known === undefined || incarnation > known.incarnation) {
      this.#lives.set(memberId, { incarnation, bootNonce })
      return null
    }
    if (known.bootNonce === bootNonce) return null
    return this.#refusal(hello, 'its data directory is an older copy')
  }

  /**
   * Whether a message must not be listened to. A follower's log never ends before what it has
   * acknowledged in the same term: a rejection that says so tells of lost entries (etcd #10166).
   */
  isForgetful(message: Message): boolean {
    if (this.#forgetful.has(message.from)) return true
    const { raft } = this.#options
    const { type, reject, term, from, rejectHint } = message
    if (type !== 'appendResponse' || !reject || raft.role !== 'leader') return false
    if (term !== raft.term) return false
    const match = raft.status().progress.find(({ id }) => id === from)?.match ?? 0
    if (rejectHint >= match) return false
    this.#forgetful.add(from)
    this.#options.warning(
      'ERR_DATA_DIR',
      `member '${this.#options.nodeId(from)}' had acknowledged entries up to ${match} and has ` +
        `them only up to ${rejectHint} now: it is not listened to any more. Stop it, delete its ` +
        'data directory and let it join again',
    )
    return true
  }

  #refusal({ nodeId }: PeerHello, reason: string): HandshakeRefusal {
    return {
      code: 'ERR_DATA_DIR',
      message:
        `member '${nodeId}' has forgotten what it acknowledged (${reason}): delete its data ` +
        'directory and let it join again as a new member',
    }
  }
}
