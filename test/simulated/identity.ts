import { createHash } from 'node:crypto'
import type { Durability, UncleanStop } from '../../src/engine/protocol.ts'

/** What a machine keeps of who it is, as `identity.json` does, durably at once. */
export class KeptIdentity {
  readonly memberId: number
  clusterId: string
  incarnation: number
  isEstablished = false
  /** Where the others were when this node was taken in again; until it is a member. */
  rejoinAddresses: readonly string[] = []
  /** The incarnation that began to be relaxed and was not closed. */
  #relaxedSince: number | null = null

  constructor(memberId: number, clusterId: string, incarnation = 0) {
    this.memberId = memberId
    this.clusterId = clusterId
    this.incarnation = incarnation
  }

  /** Another open; whether it is relaxed is known before it acknowledges anything. */
  open(durability: Durability): void {
    this.incarnation += 1
    if (this.isEstablished && this.#relaxedSince !== null) return
    this.#relaxedSince = durability === 'relaxed' ? this.incarnation : null
  }

  get uncleanStop(): UncleanStop | null {
    const since = this.#relaxedSince
    if (since === null || since === this.incarnation) return null
    const hash = createHash('sha256').update(`${this.memberId} ${since}`).digest()
    return { token: `${this.memberId}-${since}`, newMemberId: Math.max(1, hash.readUIntBE(0, 6)) }
  }

  /** What was lost is behind this open. */
  lossKept(durability: Durability): void {
    this.#relaxedSince = durability === 'relaxed' ? this.incarnation : null
  }

  closedWell(): void {
    this.#relaxedSince = null
  }
}
