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
import { Willingness } from './willingness.ts'

/** What a steward uses of its node. */
export type StewardNode = Pick<
  ColmenaNode,
  | 'nodeId'
  | 'memberId'
  | 'isLeader'
  | 'leader'
  | 'members'
  | 'promote'
  | 'demote'
  | 'removeMember'
  | 'handle'
  | 'forward'
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

/** An offer to vote holds for so long; each is made anew with every look. */
const OFFER_MS = HEARD_MS
const OFFERED_MAX = 1_024
/** Whoever leaves waits for the answer. */
const REPLACE_TRIES_MAX = 20
/** Until the next look, where more is expected to change at once. */
const AGAIN_MS = 100
/** A look that comes so much later than it should was held up, and so was the whole process. */
const LATE_MS = HEARD_MS

/** Asked of the leader by a voter that is about to leave. */
export const LEAVING: Handler<Leave, { readonly isReplaced: boolean }> = handler<
  Leave,
  { readonly isReplaced: boolean }
>('colmena.cluster.leaving')

export interface Leave {
  readonly nodeId: string
  /** The member ids of learners that offered to vote while it led: who leads since may not know. */
  readonly offering: readonly number[]
}

/** Told to the leader by a learner that is ready to vote. */
export const OFFER: Handler<{ readonly memberId: number }, null> = handler<
  { readonly memberId: number },
  null
>('colmena.cluster.offer')

/**
 * Looks after the members of a cluster by its policy: every node has one. That of the leader acts,
 * one step at a time; those of learners offer their votes to it.
 */
export class Steward {
  readonly #options: StewardOptions
  readonly #end = new AbortController()
  readonly #willingness = new Willingness()
  /** By member id, when a learner last offered to vote. */
  readonly #offeredMs = new Map<number, number>()
  /** By member id, since when this node has led and known the member. */
  readonly #knownSinceMs = new Map<number, number>()
  #ledSinceMs: number | null = null
  #sawMs: number | null = null
  /** Until the next look; ends early where another node leads, to whom all is new. */
  #rest = new AbortController()
  #told = ''
  #running: Promise<void> | null = null
  /** One look or one leave at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  #unhandle: readonly (() => void)[] = []

  constructor(options: StewardOptions) {
    this.#options = options
  }

  start(): void {
    const { node } = this.#options
    node.on('leader', this.#leaderChanged)
    this.#unhandle = [
      node.handle(LEAVING, async (leave) => ({ isReplaced: await this.replace(leave) })),
      node.handle(OFFER, ({ memberId }) => this.offered(memberId)),
    ]
    this.#running = this.#run()
  }

  /** This node is about to go, and offers no vote from now on. What the leader has to be told. */
  leave(): Leave {
    this.#willingness.leave()
    return { nodeId: this.#options.node.nodeId, offering: this.#offering() }
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#options.node.off('leader', this.#leaderChanged)
    for (const unhandle of this.#unhandle) unhandle()
    this.#unhandle = []
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
  replace({ nodeId, offering }: Leave): Promise<boolean> {
    return this.#inTurn(async () => {
      for (const memberId of offering) this.offered(memberId)
      const member = await this.#replaceable(nodeId)
      if (member === null) return false
      await this.#take({
        change: 'demote',
        member,
        reason: `'${nodeId}' votes no more: it leaves, and another can`,
      })
      return true
    })
  }

  /** A learner is ready to vote. */
  offered(memberId: number): null {
    const isNew = !this.#offeredMs.has(memberId)
    if (isNew && this.#offeredMs.size >= OFFERED_MAX) return null
    this.#offeredMs.set(memberId, this.#options.nowMs())
    return null
  }

  async #replaceable(nodeId: string): Promise<MemberStatus | null> {
    const { policy, everyMs } = this.#options
    const { signal } = this.#end
    for (let tries = 0; tries < REPLACE_TRIES_MAX && !signal.aborted; tries += 1) {
      const sight = await this.#see()
      const member = sight?.members.find((one) => one.nodeId === nodeId)
      if (sight === null || member === undefined) return null
      const can = canBeReplaced(policy, sight, member)
      if (can !== null) return can ? member : null
      await pause(Math.min(everyMs, AGAIN_MS), undefined, { signal }).catch(() => {})
    }
    return null
  }

  #leaderChanged = (): void => {
    this.#ledSinceMs = null
    this.#rest.abort()
  }

  async #run(): Promise<void> {
    const { everyMs, failed } = this.#options
    const { signal } = this.#end
    while (!signal.aborted) {
      this.#rest = new AbortController()
      let step: string | null = null
      try {
        step = await this.look()
        this.#told = ''
      } catch (error) {
        // Its owner has closed the node alone.
        if (isColmenaError(error) && error.code === 'ERR_CLOSED') return
        const message = isColmenaError(error) ? error.message : String(error)
        // In a microtask, so that a logger that throws breaks nothing of ours.
        if (message !== this.#told && !signal.aborted) queueMicrotask(() => failed(message, error))
        this.#told = message
      }
      // A vote that was taken is to be given.
      const restMs = step === null ? everyMs : Math.min(everyMs, AGAIN_MS)
      const ending = AbortSignal.any([signal, this.#rest.signal])
      await pause(restMs, undefined, { signal: ending }).catch(() => {})
    }
  }

  /** What a leader sees; null on any other node, which offers its vote to the leader. */
  async #see(): Promise<Sight | null> {
    const { node, nowMs, isFound, everyMs } = this.#options
    const members = await node.members({ signal: this.#end.signal })
    const own = members.find(({ memberId }) => memberId === node.memberId)
    const offers = this.#willingness.offers(own, node.leader !== null, nowMs())
    if (!node.isLeader || own?.isLeader !== true) {
      this.#ledSinceMs = null
      if (offers && node.leader !== null) await this.#offer()
      return null
    }
    const now = nowMs()
    // Of what went on while it stood still it knows nothing, nor whether it leads.
    const isLate = this.#sawMs !== null && now - this.#sawMs > everyMs + LATE_MS
    if (isLate) this.#ledSinceMs = null
    this.#sawMs = now
    const ids = new Set(members.map(({ memberId }) => memberId))
    if (this.#ledSinceMs === null) this.#knownSinceMs.clear()
    for (const id of this.#knownSinceMs.keys()) if (!ids.has(id)) this.#knownSinceMs.delete(id)
    for (const id of ids) if (!this.#knownSinceMs.has(id)) this.#knownSinceMs.set(id, now)
    this.#ledSinceMs ??= now
    return {
      members,
      ledMs: now - this.#ledSinceMs,
      knownMs: (memberId) => now - (this.#knownSinceMs.get(memberId) ?? now),
      isFound,
      offering: new Set(this.#offering()),
    }
  }

  #offering(): readonly number[] {
    const { nowMs } = this.#options
    for (const [id, offeredMs] of this.#offeredMs) {
      if (nowMs() - offeredMs > OFFER_MS) this.#offeredMs.delete(id)
    }
    return [...this.#offeredMs.keys()]
  }

  /** A leader that is not there, or has no steward, is asked again with the next look. */
  async #offer(): Promise<void> {
    const { node } = this.#options
    const options = { timeoutMs: OFFER_MS, signal: this.#end.signal }
    await node.forward(OFFER, { memberId: node.memberId }, options).catch(() => {})
  }

  async #take({ change, member, reason }: Step): Promise<void> {
    const { node, did } = this.#options
    const { signal } = this.#end
    if (change === 'promote') await node.promote(member.nodeId, { signal })
    else if (change === 'demote') await node.demote(member.nodeId, { signal })
    else await node.removeMember(member.nodeId, { signal })
    queueMicrotask(() => did(reason))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    return turn
  }
}
