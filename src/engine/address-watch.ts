import type { ColmenaError } from '../base/errors.ts'
import type { Clock } from '../base/ports.ts'
import { type MemberId, NO_MEMBER, type Raft } from '../raft/raft.ts'
import { readReply, type Transport } from '../transport/transport.ts'
import type { Seeker } from './forming.ts'
import type { Membership } from './membership.ts'
import { CALLS, decodeMeetAnswer, encodeSeeker, type MemberMet } from './wire.ts'

const CALL_TIMEOUT_MS = 2_000
const REST_MS = 5_000
/** Asked at a time while there is no leader; with one, a single address. */
const ASKED_MAX = 16
const TOLD_MAX = 64
const TELL_AGAIN_MS = 600_000

export interface AddressWatchOptions {
  readonly raft: Raft
  readonly membership: Membership
  readonly clock: Clock
  readonly transport: Transport
  readonly electionTimeoutMs: number
  readonly own: Pick<Seeker, 'memberId' | 'nodeId'> & { readonly address: string }
  /** Where nodes of this cluster may be, as known at this moment. */
  readonly addresses: () => readonly string[]
  readonly clusterId: string
  readonly warning: (code: string, message: string) => void
}

/**
 * Asks who is at addresses where no known member is. So members find each other again after all of
 * them have moved at once, which no configuration could tell them; and another cluster that answers
 * there, as after two halves of a network each began one, is reported and left alone.
 */
export class AddressWatch {
  readonly #options: AddressWatchOptions
  readonly #toldMs = new Map<string, number>()
  readonly #asked = new Set<string>()
  #nextMs = Number.NEGATIVE_INFINITY
  #at = 0

  constructor(options: AddressWatchOptions) {
    this.#options = options
  }

  tick(): void {
    const { raft, clock, electionTimeoutMs } = this.#options
    if (clock.nowMs() < this.#nextMs) return
    const isLed = raft.leader !== NO_MEMBER
    this.#nextMs = clock.nowMs() + (isLed ? REST_MS : electionTimeoutMs)
    const unknown = this.#unknown()
    const count = Math.min(unknown.length, isLed ? 1 : ASKED_MAX)
    for (let i = 0; i < count; i += 1) {
      this.#ask(unknown[(this.#at + i) % unknown.length] as string)
    }
    this.#at += count
  }

  #unknown(): readonly string[] {
    const { addresses, own, transport } = this.#options
    const known = new Set([own.address])
    for (const peer of transport.peers()) if (peer.isConnected) known.add(peer.address)
    return addresses().filter((address) => !known.has(address) && !this.#asked.has(address))
  }

  #ask(address: string): void {
    const { transport, own } = this.#options
    const body = encodeSeeker({ memberId: own.memberId, nodeId: own.nodeId, stance: 'joining' })
    this.#asked.add(address)
    const answered = readReply(decodeMeetAnswer, (error, answer) => {
      this.#asked.delete(address)
      if (error?.code === 'ERR_OTHER_CLUSTER') this.#tell(address, error)
      // Who has no cluster yet finds this one by asking; who does not answer is nobody.
      else if (answer?.kind === 'member') this.#met(address, answer)
    })
    transport.call(address, CALLS.meet, body, CALL_TIMEOUT_MS, answered)
  }

  #met(address: string, { clusterId, memberId }: MemberMet): void {
    const { membership, clusterId: ownCluster, own, transport } = this.#options
    if (Buffer.from(clusterId).toString('hex') !== ownCluster || memberId === own.memberId) return
    if (membership.record(memberId) === undefined || this.#isConnected(memberId)) return
    transport.setPeer(memberId, address)
  }

  #isConnected(id: MemberId): boolean {
    return this.#options.transport.peers().some((peer) => peer.id === id && peer.isConnected)
  }

  #tell(address: string, error: ColmenaError): void {
    const nowMs = this.#options.clock.nowMs()
    const lastMs = this.#toldMs.get(address)
    if (lastMs !== undefined && nowMs - lastMs < TELL_AGAIN_MS) return
    if (lastMs === undefined && this.#toldMs.size >= TOLD_MAX) return
    this.#toldMs.set(address, nowMs)
    this.#options.warning(
      'ERR_OTHER_CLUSTER',
      `another cluster answers at ${address}, where nodes of this one were looked for ` +
        `(${error.message}). They are never merged: keep one, and let the nodes of the other ` +
        'join it with empty data directories',
    )
  }
}
