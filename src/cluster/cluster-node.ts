import type { ColmenaNode, SignalOptions } from '../index.ts'
import type { Discovery } from './discovery.ts'
import { LEAVING, type Steward } from './steward.ts'

export interface ClusterNodeParts {
  readonly node: ColmenaNode
  readonly discovery: Discovery
  readonly steward: Steward
}

/** In all, so that whoever sent a signal need not send a second one. */
export const LEAVE_MS_MAX = 7_500
/** What of that may go by until another has this node's vote. */
const REPLACE_MS_MAX = 3_000

/** A node of a cluster that forms itself. */
export class ClusterNode implements AsyncDisposable {
  /** As `open` gives it. It ends with this object. */
  readonly node: ColmenaNode
  readonly #parts: ClusterNodeParts
  #leaving: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(parts: ClusterNodeParts) {
    this.node = parts.node
    this.#parts = parts
    // Who announces a node that has failed sends others there in vain.
    this.node.once('closed', () => void this.close())
  }

  /**
   * For health checks: whether this node is one of the cluster's members, has caught up and could
   * write now. It never throws.
   */
  async healthy(options: SignalOptions = {}): Promise<boolean> {
    const { node } = this
    try {
      const [status, members] = await Promise.all([node.status(options), node.members(options)])
      return status.ready && members.some(({ memberId }) => memberId === node.memberId)
    } catch {
      return false
    }
  }

  /**
   * Ends this node so that nobody has to wait for it to be missed: it hands leadership over, and
   * gives its vote to a learner where there is one that has caught up; the last voter keeps it. It
   * stays a member, with what it holds, and may come back. Within 8 s; `signal` cuts it short.
   * Every caller gets the same promise.
   */
  leave(options: SignalOptions = {}): Promise<void> {
    this.#leaving ??= this.#leave(options)
    return this.#leaving
  }

  /** Ends this node, what announces it, and what looks after the members. */
  close(options: SignalOptions = {}): Promise<void> {
    this.#closing ??= this.#shutDown(options)
    return this.#closing
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #leave({ signal: asked }: SignalOptions): Promise<void> {
    const { node, steward } = this.#parts
    const leave = steward.leave()
    const timeout = AbortSignal.timeout(LEAVE_MS_MAX)
    const signal = asked === undefined ? timeout : AbortSignal.any([asked, timeout])
    const options = { timeoutMs: REPLACE_MS_MAX, signal }
    try {
      // Whoever leads then decides: it alone knows who has caught up.
      if (node.isLeader) await node.transferLeadership(undefined, { signal })
      await node.forward(LEAVING, leave, options)
    } catch {
      // Nobody could be asked in time: it ends as one that was closed.
    }
    await this.close({ signal })
  }

  async #shutDown(options: SignalOptions): Promise<void> {
    const { node, discovery, steward } = this.#parts
    await steward.close()
    await discovery.close()
    await node.close(options)
  }
}
