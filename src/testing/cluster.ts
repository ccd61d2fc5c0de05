import { join } from 'node:path'
import {
  ColmenaError,
  type ColmenaNode,
  isColmenaError,
  type NodeStatus,
  type WaitOptions,
} from '../index.ts'
import { makeFolder, removeFolder } from './folders.ts'
import { Links } from './links.ts'
import { Member } from './member.ts'
import {
  type AddNodeOptions,
  type ClusterConfig,
  invalidArgument,
  NODES_MAX,
  show,
  toWait,
  type Wait,
} from './options.ts'
import { Partition } from './partition.ts'
import { type Goal, timeoutError, waitFor } from './waiting.ts'

/** A node by its id, or by a handle of it, also one of an earlier life. */
export type NodeReference = string | ColmenaNode

/** A node that runs, and what it says of itself. */
interface Seen {
  readonly id: string
  readonly node: ColmenaNode
  readonly status: NodeStatus
}

/**
 * Nodes of one cluster in this process, on loopback, and the links between them. It is made by
 * `createTestCluster`, and removed with all its data by {@link close}.
 */
export class TestCluster implements AsyncDisposable {
  readonly #folder = makeFolder()
  readonly #links = new Links()
  readonly #shared: ClusterConfig['shared']
  readonly #members: Member[] = []
  #lastNumber = 0
  #partition = new Partition()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  private constructor(shared: ClusterConfig['shared']) {
    this.#shared = shared
  }

  /** Resolves once all nodes have their roles and have applied the same; else all is removed. */
  static async create({ count, wait, shared }: ClusterConfig): Promise<TestCluster> {
    const cluster = new TestCluster(shared)
    const untilMs = performance.now() + wait.timeoutMs
    const left = (): Wait => ({
      ...wait,
      timeoutMs: Math.max(1, Math.ceil(untilMs - performance.now())),
    })
    try {
      await cluster.#add('voter', left())
      const others = Array.from({ length: count - 1 }, () => cluster.#add('voter', left()))
      await Promise.all(others)
      // Of an even number of nodes one waits for one more.
      await cluster.#untilVoters(count - ((count + 1) % 2), left())
      await cluster.#untilConvergence(left())
      return cluster
    } catch (error) {
      await cluster.close()
      throw withOwnOptions(error)
    }
  }

  /** The nodes that run, in the order of their numbers; each restart makes another handle. */
  get nodes(): readonly ColmenaNode[] {
    return this.#members.flatMap(({ node }) => (node === null ? [] : [node]))
  }

  /**
   * The node of this id: node-1 is the first one.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is none; ERR_CLOSED where it does not run
   */
  node(id: string): ColmenaNode {
    return this.#running(id).node
  }

  /**
   * The node that leads, once one does whom most voters can hear and follow: never one that was
   * cut off and does not know it yet.
   *
   * @throws ColmenaError ERR_TIMEOUT, with how each node was; ERR_ABORTED, ERR_CLOSED
   */
  async leader(options: WaitOptions = {}): Promise<ColmenaNode> {
    const wait = toWait(options, 'leader')
    this.#checkOpen()
    return this.#waitFor(wait, 'no node came to lead', async (signal) => {
      return (await this.#findLeader(await this.#look(signal), signal))?.node ?? null
    })
  }

  /** All that run beside the {@link leader}, whether or not they hear it. */
  async followers(options: WaitOptions = {}): Promise<readonly ColmenaNode[]> {
    const leader = await this.leader(options)
    return this.nodes.filter((node) => node !== leader)
  }

  /**
   * Opens one node more, which joins the others; they have to be able to agree on it. It may vote a
   * little later: once it has caught up, and where the number of voters stays odd.
   *
   * @throws ColmenaError as `open`; ERR_TIMEOUT, ERR_ABORTED, ERR_CLOSED
   */
  async addNode(options: AddNodeOptions = {}): Promise<ColmenaNode> {
    const wait = toWait(options, 'addNode', ['joinAs'])
    this.#checkOpen()
    if (this.#members.length >= NODES_MAX) {
      throw invalidArgument(`a test cluster has at most ${NODES_MAX} nodes`)
    }
    return this.#add(options.joinAs ?? 'voter', wait)
  }

  /**
   * Cuts the links between nodes of different groups, both ways: what is sent gets lost, and
   * neither side hears that it does. Nodes that are in no group are one group more. It takes the
   * place of an earlier partition.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where that would cut nothing; ERR_CLOSED
   * @example
   * await cluster.partition(['node-1'], ['node-2', 'node-3'])
   */
  async partition(...groups: readonly (readonly NodeReference[])[]): Promise<void> {
    this.#checkOpen()
    const ids = groups.map((group) => {
      if (!Array.isArray(group)) throw invalidArgument('partition takes lists of nodes')
      return group.map((node: NodeReference) => this.#member(node).id)
    })
    const partition = new Partition(ids)
    if (partition.describe(this.#ids) === '') {
      throw invalidArgument(
        `partition would cut nothing: all of ${this.#ids.join(', ')} are in one group`,
      )
    }
    this.#partition = partition
    await this.#cutLinks()
  }

  /** Cuts the leader off from all others, and says who it was: they elect another one. */
  async isolateLeader(options: WaitOptions = {}): Promise<ColmenaNode> {
    const leader = await this.leader(options)
    await this.partition([leader])
    return leader
  }

  /** Every node hears every other one again. */
  async heal(): Promise<void> {
    this.#checkOpen()
    this.#partition = new Partition()
    await this.#cutLinks()
  }

  /**
   * Ends a node as a crash does: its connections break, nothing more gets out, its threads end
   * where they are. It keeps its data for {@link restart}.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is no such node; ERR_CLOSED where it does
   * not run
   */
  async kill(node: NodeReference): Promise<void> {
    const { member } = this.#running(node)
    await member.kill(() => this.#cutLinks())
  }

  /**
   * Opens a node again that was killed or closed, on its data; one that runs is closed in order
   * before. Its links are as the partition has them.
   *
   * @returns its new handle: the one before stays closed
   * @throws ColmenaError as `open`; ERR_INVALID_ARGUMENT, ERR_TIMEOUT, ERR_ABORTED, ERR_CLOSED,
   * ERR_BUSY while it is being opened
   */
  async restart(node: NodeReference, options: WaitOptions = {}): Promise<ColmenaNode> {
    const wait = toWait(options, 'restart')
    this.#checkOpen()
    const member = this.#member(node)
    await member.node?.close()
    return this.#open(member, wait)
  }

  /**
   * Resolves once every node that runs has applied all that was in the leader's log, and none is
   * known to differ from the others.
   *
   * @throws ColmenaError ERR_TIMEOUT, with how each node was; ERR_ABORTED, ERR_CLOSED
   */
  async waitForConvergence(options: WaitOptions = {}): Promise<void> {
    const wait = toWait(options, 'waitForConvergence')
    this.#checkOpen()
    await this.#untilConvergence(wait)
  }

  /** Ends all nodes at once, and removes their data. Every caller gets the same promise. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get #ids(): readonly string[] {
    return this.#members.map(({ id }) => id)
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await Promise.all(this.#members.map((member) => member.close()))
    await this.#links.close()
    removeFolder(this.#folder)
  }

  #checkOpen(): void {
    if (this.#closed === undefined) return
    throw new ColmenaError('ERR_CLOSED', 'the test cluster was closed: create another one')
  }

  #member(node: NodeReference): Member {
    const isKnown = (member: Member): boolean =>
      typeof node === 'string' ? member.id === node : member.wasOnce(node)
    const member = this.#members.find(isKnown)
    if (member !== undefined) return member
    throw invalidArgument(
      `the cluster has no node ${show(node)}; it has ${this.#ids.join(', ')}, and their handles`,
    )
  }

  #running(reference: NodeReference): { readonly member: Member; readonly node: ColmenaNode } {
    this.#checkOpen()
    const member = this.#member(reference)
    if (member.node !== null) return { member, node: member.node }
    throw new ColmenaError(
      'ERR_CLOSED',
      `${member.id} does not run: restart('${member.id}') opens it again`,
    )
  }

  async #add(joinAs: 'voter' | 'learner', wait: Wait): Promise<ColmenaNode> {
    const [first] = this.#members
    this.#lastNumber += 1
    const nodeId = `node-${this.#lastNumber}`
    const genesis = first === undefined ? { bootstrap: true } : { join: first.address }
    const own = { nodeId, dataDir: join(this.#folder, nodeId), joinAs, ...genesis }
    const member = new Member({ ...this.#shared, ...own }, this.#links)
    this.#members.push(member)
    try {
      return await this.#open(member, wait)
    } catch (error) {
      // It was never there. Its name may be known already, so nobody gets it again.
      this.#members.splice(this.#members.indexOf(member), 1)
      throw error
    }
  }

  async #open(member: Member, wait: Wait): Promise<ColmenaNode> {
    const { signal, timeoutMs } = wait
    const deadline = AbortSignal.timeout(timeoutMs)
    const ends = [deadline, this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    try {
      return await member.open(AbortSignal.any(ends), () => this.#cutLinks())
    } catch (error) {
      this.#checkOpen()
      if (signal?.aborted || !deadline.aborted) throw error
      throw await timeoutError(timeoutMs, `${member.id} was not open`, this.#describe)
    }
  }

  /** What is cut goes by the partition, and nothing reaches or leaves a node that was killed. */
  async #cutLinks(): Promise<void> {
    const cut = (one: Member, other: Member): boolean =>
      one !== other && (one.isKilled || other.isKilled || this.#partition.isCut(one.id, other.id))
    const pairs = this.#members.flatMap((from) =>
      this.#members.filter((to) => cut(from, to)).map((to) => [from.id, to.id] as const),
    )
    await this.#links.cut(pairs)
  }

  async #untilVoters(count: number, wait: Wait): Promise<void> {
    await this.#waitFor(wait, 'not all nodes that should have come to vote', async (signal) => {
      const seen = await this.#look(signal)
      return seen.filter(({ status }) => !status.isLearner).length >= count || null
    })
  }

  async #untilConvergence(wait: Wait): Promise<void> {
    let goal: { readonly term: number; readonly index: number } | null = null
    await this.#waitFor(wait, 'not all nodes came to have applied the same', async (signal) => {
      const seen = await this.#look(signal)
      const leader = await this.#findLeader(seen, signal)
      if (leader === null) return null
      // What an earlier leader had alone may never be committed.
      const { term, lastIndex } = leader.status
      if (goal?.term !== term) goal = { term, index: lastIndex }
      const { index } = goal
      const isLevel = ({ status: { appliedIndex, divergence } }: Seen): boolean =>
        appliedIndex >= index && divergence.reason === null && divergence.undecided === null
      return (seen.length === this.nodes.length && seen.every(isLevel)) || null
    })
  }

  async #waitFor<T>(wait: Wait, what: string, look: Goal<T>['look']): Promise<T> {
    const closing = this.#closing.signal
    const signal = wait.signal === undefined ? closing : AbortSignal.any([closing, wait.signal])
    try {
      return await waitFor({ ...wait, signal }, { what, look, describe: this.#describe })
    } catch (error) {
      this.#checkOpen()
      throw error
    }
  }

  /** Those that run and answer. */
  async #look(signal: AbortSignal): Promise<readonly Seen[]> {
    const seen = this.#members.map(async ({ id, node }) => {
      const status = await node?.status({ signal }).catch(() => null)
      return node === null || status == null ? [] : [{ id, node, status }]
    })
    return (await Promise.all(seen)).flat()
  }

  /** Who leads: most voters are not cut off from it, and follow it. */
  async #findLeader(seen: readonly Seen[], signal: AbortSignal): Promise<Seen | null> {
    for (const leader of seen.filter(({ status }) => status.role === 'leader')) {
      const members = await leader.node.members({ signal }).catch(() => [])
      const voters = members.filter(({ role }) => role === 'voter').map(({ nodeId }) => nodeId)
      const follows = ({ id, status }: Seen): boolean =>
        voters.includes(id) &&
        status.term === leader.status.term &&
        status.leader?.id === leader.id &&
        !this.#partition.isCut(id, leader.id)
      if (2 * seen.filter(follows).length > voters.length) return leader
    }
    return null
  }

  readonly #describe = async (signal: AbortSignal): Promise<string> => {
    const states = await Promise.all(this.#members.map((member) => member.describe(signal)))
    const cut = this.#partition.describe(this.#ids)
    return states.join('; ') + (cut === '' ? '' : `; links are cut: ${cut} (heal() joins them)`)
  }
}

/** `open` knows its own options only, and takes a misspelt one of ours for one of its own. */
function withOwnOptions(error: unknown): unknown {
  if (!isColmenaError(error) || !error.message.startsWith('unknown option')) return error
  const message = `${error.message} (createTestCluster itself has nodes and timeoutMs)`
  return new ColmenaError(error.code, message, { cause: error })
}
