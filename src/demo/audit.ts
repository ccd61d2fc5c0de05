import type { Cluster } from './cluster.ts'
import type { Member } from './member.ts'
import type { Tally } from './tally.ts'

/** Looks the acknowledged writes up in the nodes' own files, on each node for itself. */
export class Audit {
  readonly #busy = new Set<Member>()

  /** A node that has not answered the last time is not asked again. */
  look({ members }: Cluster, tally: Tally): void {
    for (const [at, member] of members.entries()) {
      if (member.running !== null && !this.#busy.has(member)) void this.#lookOn(member, at, tally)
    }
  }

  /** `at` is the place of the node in this tally. */
  async #lookOn(member: Member, at: number, tally: Tally): Promise<void> {
    this.#busy.add(member)
    try {
      for (const from of tally.wanted(at)) {
        const found = await member.running?.call('lookUp', from)
        if (found !== undefined) tally.looked(at, from, found)
      }
    } catch {
      // It was killed meanwhile, or can't read: what it has not shown is looked up again.
    } finally {
      this.#busy.delete(member)
    }
  }
}
