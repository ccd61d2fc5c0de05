import { ADDRESSES_MAX } from '../cluster/cluster.ts'
import type { Announcement } from './mdns-records.ts'

/** So that one host that announces at random leaves room for the others. */
const ADDRESSES_PER_SENDER_MAX = 32

interface Kept {
  readonly sender: string
  readonly endsMs: number
}

/** What was announced and still holds, within bounds: anybody on the network may announce. */
export class Announcements {
  readonly #kept = new Map<string, Kept>()

  hear({ address, ttlMs }: Announcement, sender: string, nowMs: number): void {
    this.#forgetOld(nowMs)
    const known = this.#kept.get(address)
    if (ttlMs === 0) {
      if (known?.sender === sender) this.#kept.delete(address)
      return
    }
    if (known === undefined && !this.#hasRoom(sender)) return
    // Its first sender's it stays: another one's goodbye must not take it back.
    this.#kept.set(address, { sender: known?.sender ?? sender, endsMs: nowMs + ttlMs })
  }

  addresses(nowMs: number): readonly string[] {
    this.#forgetOld(nowMs)
    return [...this.#kept.keys()]
  }

  #hasRoom(sender: string): boolean {
    if (this.#kept.size >= ADDRESSES_MAX) return false
    const ofSender = [...this.#kept.values()].filter((kept) => kept.sender === sender)
    return ofSender.length < ADDRESSES_PER_SENDER_MAX
  }

  #forgetOld(nowMs: number): void {
    for (const [address, { endsMs }] of this.#kept) {
      if (endsMs <= nowMs) this.#kept.delete(address)
    }
  }
}
