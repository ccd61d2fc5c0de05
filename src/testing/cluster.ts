import { join } from 'node:path'
import { ColmenaError, type ColmenaNode, type WaitOptions } from '../index.ts'
import { Convergence } from './convergence.ts'
import { makeFolder, removeFolder } from './folders.ts'
import { Links } from './links.ts'
import { Member } from './member.ts'
import { runMigrations } from './migrations.ts'
import {
  type AddNodeOptions,
  type ClusterConfig,
  invalidArgument,
  NODES_MAX,
  show,
  toWait,
  type Wait,
  withOwnOptions,
} from './options.ts'
import { Partition } from './partition.ts'
import { callRoll, findLeader, type Led, type Seen } from './roll-call.ts'
import { type Goal, timeoutError, waitFor } from './waiting.ts'

/** A node by its id, or by a handle of it, also one of an earlier life. */
export type NodeReference = string | ColmenaNode

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
  static async create(config: ClusterConfig): Promise<TestCluster> {
    const { count, wait, migrations, shared } = config
    const cluster = new TestCluster(shared)
    const untilMs = performance.now() + wait.timeoutMs
    const left = (): Wait => ({
      ...wait,
      timeoutMs: Math.max(1, Math.ceil(untilMs - performance.now())),
    })
    try {
      const first = await cluster.#add('voter', left())
      const others = Array.from({ length: count - 1 }, () => cluster.#add('voter', left()))
      await Promise.all(others)
      // Of an even number of nodes one waits for one more.
      await cluster.#untilVoters(count - ((count + 1) % 2), left())
      await runMigrations(first, migrations, left())
      await cluster.#untilConvergence(left())
      return cluster
    } catch (error) {
      await cluster.close()
      throw withOwnOptions(error, 'createTestCluster itself has nodes, timeoutMs and migrations')
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
    const { leader } = await this.#untilLed(toWait(options, 'leader'), 'no node came to lead')
    return leader.node
  }

  /**
   * All that run and can hear the {@link leader}, once they all follow it, in the order of their
   * numbers. One that is cut off from it is none.
   *
   * @throws ColmenaError ERR_TIMEOUT, with how each node was; ERR_ABORTED, ERR_CLOSED
   */
  async followers(options: WaitOptions = {}): Promise<readonly ColmenaNode[]> {
    const wait = toWait(options, 'followers')
    const what = 'not all nodes came to follow one that they hear'
    const { followers } = await this.#untilLed(wait, what, ({ leader, followers: { length } }) => {
      const hears = ({ id, node }: Member): boolean =>
        node !== null && id !== leader.id && !this.#partition.isCut(id, leader.id)
      return length === this.#members.filter(hears).length
    })
    return followers.map(({ node }) => node)
  }

  /** The first one that follows the {@link leader}, once one does. @throws ColmenaError as that */
  async follower(options: WaitOptions = {}): Promise<ColmenaNode> {
    const wait = toWait(options, 'follower')
    const what = 'no node came to follow another one'
    const { followers } = await this.#untilLed(
      wait,
      what,
      ({ followers: { length } }) => length > 0,
    )
    return (followers[0] as Seen).node
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
   * neither side hears that it does. A node alone is a group too, and nodes that are in no group
   * are one group more. It takes the place of an earlier partition.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where that would cut nothing; ERR_CLOSED
   * @example
   * await cluster.partition('node-3')
   * await cluster.partition(['node-1'], ['node-2', 'node-3'])
   */
  async partition(...groups: readonly (NodeReference | readonly NodeReference[])[]): Promise<void> {
    this.#checkOpen()
    const ids = groups.map((group) => {
      const references: readonly NodeReference[] = isList(group) ? group : [group]
      return references.map((reference) => this.#member(reference).id)
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
    await this.partition(leader)
    return leader
  }

  /** Every node hears every other one again. */
  async heal(): Promise<void> {
    this.#checkOpen()
    this.#partition = new Partition()
    await this.#cutLinks()
  }

  /**
   * Ends a node as `kill -9` ends its process, as near as that goes within one that lives on: its
   * connections break first, so that nothing more gets out, no handover and no release of a lock;
   * then its threads end where they are. It keeps what it had written for {@link restart}, also
   * what was not synced: like `kill -9`, and unlike a machine that loses power. Calls of its handle
   * reject with ERR_CLOSED.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT where there is no such node; ERR_CLOSED where it does
   * not run
   */
  async kill(node: NodeReference): Promise<void> {
    const { member } = this.#running(node)
    await member.kill()
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
    return this.#open(member, wait, (signal) => member.node?.close({ signal }))
  }

  /**
   * Resolves once every node that runs has applied all that was in the leader's log, and none is
   * known to differ from the others. One that failed by itself counts as one that lags.
   *
   * @throws ConvergenceError (ERR_TIMEOUT) which says who lags, and where; ColmenaError
   * ERR_ABORTED, ERR_CLOSED
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

  /** `before` ends what may still be of the node's last life. */
  async #open(
    member: Member,
    { timeoutMs, signal }: Wait,
    before?: (signal: AbortSignal) => Promise<void> | undefined,
  ): Promise<ColmenaNode> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const given = [deadline, this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    const ends = AbortSignal.any(given)
    try {
      await before?.(ends)
      return await member.open(ends, () => this.#cutLinks())
    } catch (error) {
      this.#checkOpen()
      if (signal?.aborted || !deadline.aborted) throw error
      throw await timeoutError(timeoutMs, `${member.id} was not open`, this.#describe)
    }
  }

  async #cutLinks(): Promise<void> {
    const ids = this.#ids
    const pairs = ids.flatMap((from) =>
      ids.filter((to) => this.#partition.isCut(from, to)).map((to) => [from, to] as const),
    )
    await this.#links.cut(pairs)
  }

  async #untilVoters(count: number, wait: Wait): Promise<void> {
    const what = (): string => 'not all nodes that should have come to vote'
    await this.#waitFor(wait, {
      what,
      look: async (signal) => {
        const seen = await callRoll(this.#members, signal)
        return seen.filter(({ status }) => !status.isLearner).length >= count || null
      },
    })
  }

  /** Who leads, once somebody does and it is as it `should` be. */
  async #untilLed(
    wait: Wait,
    what: string,
    should: (led: Led) => boolean = () => true,
  ): Promise<Led> {
    this.#checkOpen()
    return this.#waitFor(wait, {
      what: () => what,
      look: async (signal) => {
        const seen = await callRoll(this.#members, signal)
        const led = await findLeader(seen, this.#partition, signal)
        return led !== null && should(led) ? led : null
      },
    })
  }

  async #untilConvergence(wait: Wait): Promise<void> {
    const convergence = new Convergence()
    await this.#waitFor(wait, {
      what: () => convergence.describe(),
      look: async (signal) => {
        const seen = await callRoll(this.#members, signal)
        const led = await findLeader(seen, this.#partition, signal)
        return convergence.judge(led, seen, this.#members) || null
      },
      toError: (message) => convergence.toError(message),
    })
  }

  async #waitFor<T>(wait: Wait, goal: Omit<Goal<T>, 'describe'>): Promise<T> {
    const closing = this.#closing.signal
    const signal = wait.signal === undefined ? closing : AbortSignal.any([closing, wait.signal])
    try {
      return await waitFor({ ...wait, signal }, { ...goal, describe: this.#describe })
    } catch (error) {
      this.#checkOpen()
      throw error
    }
  }

  readonly #describe = async (signal: AbortSignal): Promise<string> => {
    const states = await Promise.all(this.#members.map((member) => member.describe(signal)))
    const cut = this.#partition.describe(this.#ids)
    return states.join('; ') + (cut === '' ? '' : `; links are cut: ${cut} (heal() joins them)`)
  }
}

/** `Array.isArray` tells nothing of lists that are readonly. */
function isList<T>(value: T | readonly T[]): value is readonly T[] {
  return Array.isArray(value)
}
