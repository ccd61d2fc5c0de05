import type { MemberId } from '../raft/raft.ts'

export interface EngineMixOptions {
  readonly memberId: MemberId
  /** What this node runs SQL with. */
  readonly fingerprint: string
  readonly voters: () => readonly MemberId[]
  /** The fingerprints of the other members, where they are known. */
  readonly others: () => readonly { readonly id: MemberId; readonly fingerprint: string }[]
  readonly nodeId: (id: MemberId) => string
  readonly warning: (code: string, message: string) => void
}

/**
 * Members that run SQL with different builds of SQLite, as during a rolling upgrade. Nothing stops
 * for it, but it is said, and whoever runs what most voters run should lead: a statement's answer
 * comes from each node's own apply, and the many are then less likely to differ from the leader.
 */
export class EngineMix {
  readonly #options: EngineMixOptions
  #told = ''

  constructor(options: EngineMixOptions) {
    this.#options = options
  }

  get isMixed(): boolean {
    const { fingerprint, others } = this.#options
    return others().some((other) => other.fingerprint !== fingerprint)
  }

  /** Says once what differs, and once that it is over. */
  tick(): void {
    const { fingerprint, others, nodeId, warning } = this.#options
    const differing = others().filter((other) => other.fingerprint !== fingerprint)
    const told = differing.map((other) => `${other.id}=${other.fingerprint}`).join()
    if (told === this.#told) return
    this.#told = told
    const names = differing.map((other) => `'${nodeId(other.id)}' (${other.fingerprint})`)
    const message =
      names.length === 0
        ? 'all members run the same SQLite again'
        : `this node runs ${fingerprint}, others run something else: ${names.join(', ')}. ` +
          'Finish the upgrade soon: results may differ in rare cases'
    warning('ERR_MIXED_ENGINES', message)
  }

  /** Voters that should lead in place of this node, as more voters run what they run; or none. */
  preferredLeaders(): readonly MemberId[] {
    const { memberId, fingerprint, voters, others } = this.#options
    const isVoter = new Set(voters())
    const groups = new Map<string, MemberId[]>([[fingerprint, [memberId]]])
    for (const other of others()) {
      if (!isVoter.has(other.id) || other.id === memberId) continue
      const group = groups.get(other.fingerprint)
      if (group === undefined) groups.set(other.fingerprint, [other.id])
      else group.push(other.id)
    }
    let largest = groups.get(fingerprint) as MemberId[]
    for (const group of groups.values()) if (group.length > largest.length) largest = group
    return largest.includes(memberId) ? [] : largest
  }
}
