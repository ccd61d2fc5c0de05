/** Members as a leader sees them, and a node that has them, under a time of the test's own. */
import { EventEmitter } from 'node:events'
import type { StewardNode } from '../../src/cluster/steward.ts'
import type { Leader, MemberStatus, NodeEvents } from '../../src/index.ts'

export interface FakeMember {
  readonly id: string
  readonly role: 'voter' | 'learner'
  /** The same as `role` by default. */
  readonly wantedRole?: 'voter' | 'learner'
  readonly isLeader?: boolean
  /** null: never heard. */
  readonly silentMs?: number | null
  readonly match?: number
}

export function memberOf(member: FakeMember): MemberStatus {
  const { id, role, wantedRole = role, isLeader = false, silentMs = 0, match = 100 } = member
  return {
    nodeId: id,
    memberId: Buffer.from(id).readUIntBE(0, id.length),
    address: `10.0.0.1:${9000 + id.charCodeAt(0)}`,
    role,
    wantedRole,
    isLeader,
    match,
    lastContactMs: silentMs,
    fingerprint: null,
  }
}

/** A node of a cluster that does what it is asked at once. */
export class FakeNode extends EventEmitter<NodeEvents> implements StewardNode {
  isLeader = true
  leader: Leader | null = { id: 'a', address: '' }
  readonly nodeId: string = 'a'
  readonly memberId: number = memberOf({ id: 'a', role: 'voter' }).memberId
  /** What it has told the leader, by the key of the handler. */
  readonly forwarded: string[] = []
  state: readonly FakeMember[]
  /** What was asked, as `promote b`. */
  readonly asked: string[] = []
  /** What the next change fails with. */
  failure: Error | null = null
  readonly #handlers = new Map<string, (request: never, context: never) => unknown>()

  constructor(state: readonly FakeMember[]) {
    super()
    this.state = state
  }

  async members(): Promise<readonly MemberStatus[]> {
    return this.state.map(memberOf)
  }

  promote(nodeId: string): Promise<void> {
    return this.#change('promote', nodeId, { wantedRole: 'voter' })
  }

  demote(nodeId: string): Promise<void> {
    return this.#change('demote', nodeId, { role: 'learner', wantedRole: 'learner' })
  }

  async removeMember(nodeId: string): Promise<void> {
    await this.#change('remove', nodeId, {})
    this.state = this.state.filter(({ id }) => id !== nodeId)
  }

  handle(
    handler: { readonly key: string },
    work: (request: never, context: never) => unknown,
  ): () => void {
    this.#handlers.set(handler.key, work)
    return () => this.#handlers.delete(handler.key)
  }

  async forward(handler: { readonly key: string }): Promise<never> {
    this.forwarded.push(handler.key)
    return null as never
  }

  /** What another node's call comes to. */
  call(key: string, request: unknown): unknown {
    return this.#handlers.get(key)?.(request as never, {} as never)
  }

  get isHandling(): boolean {
    return this.#handlers.size > 0
  }

  set(id: string, change: Partial<FakeMember>): void {
    this.state = this.state.map((member) => (member.id === id ? { ...member, ...change } : member))
  }

  async #change(what: string, nodeId: string, change: Partial<FakeMember>): Promise<void> {
    this.asked.push(`${what} ${nodeId}`)
    if (this.failure !== null) throw this.failure
    this.set(nodeId, change)
  }
}
