/** Terms that matter are recent: of older ones nobody asks. */
const TERMS_KEPT = 100

/** Who led which term, as the nodes tell it. */
export class Elections {
  readonly #leaders = new Map<number, string>()
  #term = 0
  #lostAt: number | null = null

  /** The leader of the latest term that had one; null while it is lost. */
  get leaderId(): string | null {
    return this.#lostAt === null ? this.leaderOf(this.#term) : null
  }

  leaderOf(term: number): string | null {
    return this.#leaders.get(term) ?? null
  }

  /** That node is gone, cut off or about to hand over. */
  lost(nodeId: string, at: number): void {
    if (nodeId === this.leaderId) this.#lostAt = at
  }

  /** That node can be heard again: if nobody was elected meanwhile, it still leads. */
  found(nodeId: string): void {
    if (nodeId === this.leaderOf(this.#term)) this.#lostAt = null
  }

  /** What a node was told. Answers with the words for an election that was not known yet. */
  told(nodeId: string, leaderId: string | null, term: number, at: number): string | null {
    if (leaderId === null) {
      this.lost(nodeId, at)
      return null
    }
    if (term <= this.#term) {
      // It was not heard for a while, and still leads.
      if (term === this.#term && nodeId === leaderId) this.found(nodeId)
      return null
    }
    const lostAt = this.#lostAt
    this.#term = term
    this.#lostAt = null
    this.#leaders.set(term, leaderId)
    const [oldest] = this.#leaders.keys()
    if (this.#leaders.size > TERMS_KEPT) this.#leaders.delete(oldest as number)
    const words = `${leaderId} elected in term ${term}`
    return lostAt === null ? words : `${words}, ${Math.round(at - lostAt)} ms without a leader`
  }
}
