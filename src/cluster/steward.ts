import type { EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import {
  type ColmenaNode,
  type Handler,
  handler,
  isColmenaError,
  type MemberStatus,
  type NodeEvents,
} from '../index.ts'
import { canBeReplaced, HEARD_MS, nextStep, type Policy, type Sight, type Step } from './policy.ts'

/** What a steward uses of its node. */
export type StewardNode = Pick<
  ColmenaNode,
  'isLeader' | 'members' | 'promote' | 'demote' | 'removeMember' | 'handle'
> &
  Pick<EventEmitter<NodeEvents>, 'on' | 'off'>

export interface StewardOptions {
  readonly node: StewardNode
  readonly policy: Policy
  /** Whether discovery finds a node at that address. */
  readonly isFound: (address: string) => boolean
  readonly everyMs: number
  readonly nowMs: () => number
  readonly did: (reason: string) => void
  readonly failed: (message: string, cause: unknown) => void
}

/** A vote that somebody took by hand is not given back for so long. */
const REST_MS = 3_600_000

/** Asked of the leader by a voter that is about to leave. */
const LEAVING: Handler<{ readonly nodeId: string }, { readonly isReplaced: boolean }> = handler<
  { readonly nodeId: string },
  { readonly isReplaced: boolean }
>('colmena.cluster.leaving')

/**
 * Looks after the members of a cluster by its policy: every node has one, and that of the leader
 * acts, one step at a time. All of them remember whose vote was taken by hand, for when they lead.
 */
export class Steward {
  readonly #options: StewardOptions
  readonly #end = new AbortController()
  /** Members without a vote that had one, and since when. */
  readonly #resting = new Map<number, number>()
  #voters: ReadonlySet<number> = new Set()
  #ledSinceMs: number | null = null
  #told = ''
  #running: Promise<void> | null = null
  /** One look or one leave at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  #unhandle: (() => void) | null = null

  constructor(options: StewardOptions) {
    this.#options = options
  }

  start(): void {
    const { node } = this.#options
    node.on('leader', this.#leaderChanged)
    this.#unhandle = node.handle(LEAVING, async ({ nodeId }) => ({
      isReplaced: await this.replace(nodeId),
    }))
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#options.node.off('leader', this.#leaderChanged)
    this.#unhandle?.()
    await this.#running
    await this.#turn
  }

  /** Looks once, and does what there is to do; the reason for it, or null. */
  look(): Promise<string | null> {
    return this.#inTurn(async () => {
      const sight = await this.#see()
      const step = sight === null ? null : nextStep(this.#options.policy, sight)
      if (step === null) return null
      await this.#take(step)
      return step.reason
    })
  }

  /** A voter is about to leave: true if its vote was taken, as another member can have it. */
  replace(nodeId: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const sight = await this.#see()
      const member = sight?.members.find((one) => one.nodeId === nodeId)
      if (sight === null || member === undefined) return false
      if (!canBeReplaced(this.#options.policy, sight, member)) return false
      await this.#take({
        change: 'demote',
        member,
        reason: `'${nodeId}' votes no more: it leaves, and another can`,
      })
      return true
    })
  }

  #leaderChanged = (): void => {
    this.#ledSinceMs = null
  }

  async #run(): Promise<void> {
    const { everyMs, failed } = this.#options
    const { signal } = this.#end
    while (!signal.aborted) {
      try {
        await this.look()
        this.#told = ''
      } catch (error) {
        const message = isColmenaError(error) ? error.message : String(error)
        if (message !== this.#told && !signal.aborted) failed(message, error)
        this.#told = message
      }
      await pause(everyMs, undefined, { signal }).catch(() => {})
    }
  }

  /** What a leader sees; null on any other node, which only remembers what it sees. */
  async #see(): Promise<Sight | null> {
    const { node, nowMs, isFound } = this.#options
    const members = await node.members({ signal: this.#end.signal })
    this.#remember(members)
    if (!node.isLeader || !members.some(({ isLeader }) => isLeader)) {
      this.#ledSinceMs = null
      return null
    }
    this.#ledSinceMs ??= nowMs()
    const resting = new Set(this.#resting.keys())
    return { members, ledMs: nowMs() - this.#ledSinceMs, isFound, resting }
  }

  /** One that was away is as new: a member that has left may vote again when it is back. */
  #remember(members: readonly MemberStatus[]): void {
    const nowMs = this.#options.nowMs()
    const learners = new Map(members.map((member) => [member.memberId, member]))
    for (const { memberId, role } of members) if (role === 'voter') learners.delete(memberId)
    for (const id of this.#voters) if (learners.has(id)) this.#resting.set(id, nowMs)
    for (const [id, sinceMs] of this.#resting) {
      const learner = learners.get(id)
      const isDemoted = learner?.wantedRole === 'learner' && nowMs - sinceMs < REST_MS
      const isThere = (learner?.lastContactMs ?? Number.POSITIVE_INFINITY) <= HEARD_MS
      if (!isDemoted || !isThere) this.#resting.delete(id)
    }
    const voters = members.filter(({ role }) => role === 'voter')
    this.#voters = new Set(voters.map(({ memberId }) => memberId))
  }

  async #take({ change, member, reason }: Step): Promise<void> {
    const { node, did } = this.#options
    const { signal } = this.#end
    if (change === 'promote') await node.promote(member.nodeId, { signal })
    else if (change === 'demote') await node.demote(member.nodeId, { signal })
    else await node.removeMember(member.nodeId, { signal })
    did(reason)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}

export { LEAVING }
