import type { Cluster } from './cluster.ts'
import type { Member } from './member.ts'

/** So long a node is cut off, or half of the time until the next one is broken. */
const CUT_MS_MAX = 3_000

/** Breaks a random node again and again: kills it, or cuts it off for a while. */
export class Breaker {
  readonly #cluster: Cluster
  #brokeAt = 0
  #cut: { readonly member: Member; readonly untilMs: number } | null = null

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** Called often. Breaks nothing while another node is away: writes had better go on. */
  tick(now: number, everySeconds: number): void {
    this.#healWhenDue(now, everySeconds === 0)
    if (everySeconds === 0) {
      this.#brokeAt = now
      return
    }
    const { members, breakable, whole, isRestarting } = this.#cluster
    if (now - this.#brokeAt < everySeconds * 1_000) return
    const member = breakable[Math.floor(Math.random() * breakable.length)]
    if (isRestarting || whole.length < members.length || member === undefined) return
    this.#brokeAt = now
    if (!this.#cluster.canCut || Math.random() < 0.5) {
      this.#cluster.restart(member.id)
      return
    }
    this.#cluster.cut(member.id)
    this.#cut = { member, untilMs: now + Math.min(CUT_MS_MAX, everySeconds * 500) }
  }

  #healWhenDue(now: number, isOff: boolean): void {
    if (this.#cut === null || (now < this.#cut.untilMs && !isOff)) return
    const { member } = this.#cut
    this.#cut = null
    // Somebody may have joined it by hand.
    if (member.isCutOff) this.#cluster.join(member.id)
  }
}
