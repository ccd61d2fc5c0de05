import { createServer } from 'node:net'
import {
  ColmenaError,
  type ColmenaNode,
  isColmenaError,
  type NodeStatus,
  type OpenOptions,
  open,
} from '../index.ts'
import type { Links } from './links.ts'

/** Somebody else may take a port between the look and the use of it, though hardly each time. */
const PORT_TRIES_MAX = 20
const AT_ONCE = { signal: AbortSignal.abort() }

/** One node of a cluster over all its lives. */
export class Member {
  readonly id: string
  readonly #options: OpenOptions
  readonly #links: Links
  /** All that it ever was: handles of earlier lives still mean this one. */
  readonly #lives = new WeakSet<ColmenaNode>()
  #node: ColmenaNode | null = null
  #condition: 'new' | 'opening' | 'open' | 'killed' | 'closed' | 'failed' = 'new'
  #failure: unknown = null
  #address = ''
  /** The latest opening or killing, which may be under way. */
  #work: Promise<unknown> = Promise.resolve()

  /** `options` are those of each `open`, but for its addresses and `signal`. */
  constructor(options: OpenOptions & { readonly nodeId: string }, links: Links) {
    this.id = options.nodeId
    this.#options = options
    this.#links = links
  }

  /** Null unless it runs. */
  get node(): ColmenaNode | null {
    return this.#node
  }

  /** What the others dial, in all its lives; '' before the first one. */
  get address(): string {
    return this.#address
  }

  /** Whether it ended by itself, or could not be opened. */
  get hasFailed(): boolean {
    return this.#condition === 'failed'
  }

  wasOnce(node: ColmenaNode): boolean {
    return this.#lives.has(node)
  }

  /**
   * `linked` is called once its links may be as they should.
   *
   * @throws ColmenaError as `open`; ERR_BUSY while it is being opened already
   */
  open(signal: AbortSignal, linked: () => Promise<void>): Promise<ColmenaNode> {
    if (this.#condition === 'opening') {
      const message = `${this.id} is being opened already: wait for that`
      return Promise.reject(new ColmenaError('ERR_BUSY', message, { retryable: true }))
    }
    this.#condition = 'opening'
    // Its data is locked until a kill that is under way is done.
    const opening = this.#work.catch(() => {}).then(() => this.#open(signal, linked))
    this.#work = opening
    return opening
  }

  /** Its threads end between two instructions; only what the system has by then is kept. */
  kill(): Promise<void> {
    const node = this.#node
    this.#node = null
    this.#condition = 'killed'
    const killing = this.#links.end(this.id).then(() => node?.close(AT_ONCE))
    this.#work = killing
    return killing
  }

  /** Ends it, whatever is under way. */
  async close(): Promise<void> {
    await this.#work.catch(() => {})
    await this.#node?.close(AT_ONCE)
  }

  async describe(signal: AbortSignal): Promise<string> {
    const why = this.#failure instanceof Error ? `: ${this.#failure.message}` : ''
    if (this.#condition === 'failed') return `${this.id} failed${why}`
    if (this.#node === null) return `${this.id} is ${this.#condition}`
    const status = await this.#node.status({ signal }).catch(() => null)
    return status === null ? `${this.id} does not answer` : describeStatus(status)
  }

  async #open(signal: AbortSignal, linked: () => Promise<void>): Promise<ColmenaNode> {
    try {
      this.#address ||= await this.#links.open(this.id)
      await linked()
      const node = await this.#openOnPort(signal)
      this.#lives.add(node)
      this.#node = node
      this.#condition = 'open'
      node.once('closed', ({ reason, ...rest }) => this.#closed(node, reason, rest))
      return node
    } catch (error) {
      this.#condition = 'failed'
      this.#failure = error
      throw error
    }
  }

  async #openOnPort(signal: AbortSignal): Promise<ColmenaNode> {
    for (let tries = 1; ; tries += 1) {
      const port = await findFreePort()
      await this.#links.direct(this.id, port)
      try {
        const addresses = { bind: `127.0.0.1:${port}`, advertise: this.#address }
        return await open({ ...this.#options, ...addresses, signal })
      } catch (error) {
        const isTaken = isColmenaError(error) && error.code === 'ERR_ADDRESS_IN_USE'
        if (!isTaken || tries >= PORT_TRIES_MAX) throw error
      }
    }
  }

  #closed(
    node: ColmenaNode,
    reason: 'requested' | 'failed',
    { cause }: { readonly cause?: unknown },
  ): void {
    if (this.#node !== node) return
    this.#node = null
    this.#condition = reason === 'failed' ? 'failed' : 'closed'
    this.#failure = cause ?? null
  }
}

function describeStatus({ nodeId, role, term, leader, ...rest }: NodeStatus): string {
  const { appliedIndex, lastIndex, isLearner, notReadyReason } = rest
  const known = leader === null ? 'knows no leader' : `follows ${leader.id}`
  const does = role === 'leader' ? 'leads' : known
  const trouble = notReadyReason === null ? '' : ` (${notReadyReason})`
  const name = isLearner ? `${nodeId}, a learner,` : nodeId
  return `${name} ${does} in term ${term} and has applied ${appliedIndex} of ${lastIndex}${trouble}`
}

/** A port that nobody listens on. */
async function findFreePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
