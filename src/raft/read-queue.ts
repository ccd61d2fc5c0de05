import { NO_BYTES } from './message.ts'
import type { Message } from './types.ts'

export interface PendingRead {
  readonly request: Message
  /** The commit index when the read was accepted: what it must see. */
  readonly index: number
}

const CONTEXT_BYTES = 8
const LOW_RANGE = 2 ** 32

/**
 * Reads that wait for a quorum to confirm the leader. Each accepted read raises a counter that
 * heartbeats carry and members echo; a read is confirmed once a quorum echoed its number or a
 * later one. The number is ours, never the caller's context: a repeated context once let
 * echoes of an old round confirm a new read on a deposed leader (etcd #20418, raft #397).
 */
export class ReadQueue {
  readonly #readsMax: number
  #waiting: PendingRead[] = []
  #confirmedCount = 0
  /** Reads from before the first commit of this term, when the commit index may still lag. */
  #postponed: Message[] = []

  constructor(readsMax: number) {
    this.#readsMax = readsMax
  }

  get acceptedCount(): number {
    return this.#confirmedCount + this.#waiting.length
  }

  isFull(): boolean {
    return this.#waiting.length + this.#postponed.length >= this.#readsMax
  }

  hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  add(request: Message, index: number): void {
    this.#waiting.push({ request, index })
  }

  postpone(request: Message): void {
    this.#postponed.push(request)
  }

  takePostponed(): readonly Message[] {
    const postponed = this.#postponed
    if (postponed.length > 0) this.#postponed = []
    return postponed
  }

  /** Takes out the reads that a quorum has confirmed, given how many it echoed. */
  takeConfirmed(echoedCount: number): readonly PendingRead[] {
    const count = Math.min(echoedCount, this.acceptedCount) - this.#confirmedCount
    if (count <= 0) return []
    const confirmed = this.#waiting.slice(0, count)
    this.#waiting = this.#waiting.slice(count)
    this.#confirmedCount += count
    return confirmed
  }

  /** What a heartbeat must carry to confirm every read that waits; empty if none does. */
  heartbeatContext(): Uint8Array {
    if (this.#waiting.length === 0) return NO_BYTES
    const context = new Uint8Array(CONTEXT_BYTES)
    const view = new DataView(context.buffer)
    view.setUint32(0, this.acceptedCount % LOW_RANGE, true)
    view.setUint32(4, Math.floor(this.acceptedCount / LOW_RANGE), true)
    return context
  }

  /** The counter a member echoed; one that was never sent counts as nothing. */
  decodeEcho(context: Uint8Array): number {
    if (context.length !== CONTEXT_BYTES) return 0
    const view = new DataView(context.buffer, context.byteOffset, context.length)
    const count = view.getUint32(0, true) + view.getUint32(4, true) * LOW_RANGE
    return count <= this.acceptedCount ? count : 0
  }

  /** A new term: whoever waits is told by the change of leadership. */
  clear(): void {
    this.#waiting = []
    this.#postponed = []
    this.#confirmedCount = 0
  }
}
