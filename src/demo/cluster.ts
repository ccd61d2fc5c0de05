import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { ColmenaError, type OpenOptions } from '../index.ts'
import { NodeProxy } from '../testing/node-proxy.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { Elections } from './elections.ts'
import type { WriteFate } from './ipc.ts'
import { LagHistory } from './lag.ts'
import { Member } from './member.ts'
import { neighbourOf, openPair } from './ports.ts'
import type { NodeCard, Notice } from './protocol.ts'
import { formatSeconds } from './story.ts'

const VOTERS = 3
const NAMES: readonly string[] = ['node-1', 'node-2', 'node-3', 'node-4']
/** Four nodes share one machine, so their logs are small; who watches does not wait for long. */
const SETTINGS: Partial<OpenOptions> = {
  logSegmentBytes: 4_194_304,
  logRetainBytes: 16_777_216,
  requestTimeoutMs: 5_000,
}
const START_TIMEOUT_MS = 60_000
const POLL_MS = 50
/** Between kill and start, so that one sees the others go on. */
const DOWN_MS = 1_000

export interface ClusterListener {
  fates(fates: readonly WriteFate[]): void
  /** This member has applied more. */
  applied(member: Member): void
  /** What went to this member will not be answered any more. */
  exited(member: Member): void
  /** Something to be told, in words; a fault is marked in the chart as well. */
  happened(text: string, isFault: boolean): void
}

/** Four node processes, the links between them, and what is done to them. */
export class Cluster {
  readonly elections: Elections = new Elections()
  readonly lag: LagHistory = new LagHistory()
  readonly members: Member[] = []
  readonly #folder: DataFolder
  readonly #listener: ClusterListener
  readonly #proxies: NodeProxy[] = []
  #restarting: Member | null = null
  /** Members whose process is ended on purpose. */
  readonly #ending = new Set<Member>()
  #isReady = false
  #isClosed = false

  private constructor(folder: DataFolder, listener: ClusterListener) {
    this.#folder = folder
    this.#listener = listener
  }

  /** Resolves once three nodes vote and a leader takes writes. */
  static async start(
    dataDir: string | null,
    listener: ClusterListener,
    progress: (line: string) => void,
  ): Promise<Cluster> {
    const folder = openDataFolder(dataDir, NAMES.length)
    const cluster = new Cluster(folder, listener)
    try {
      await cluster.#start(progress)
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  get leader(): Member | null {
    const { leaderId } = this.elections
    return this.members.find(({ id }) => id === leaderId) ?? null
  }

  /** Those that run, whether or not the others hear them. */
  get running(): readonly Member[] {
    return this.members.filter(({ running }) => running !== null)
  }

  /** Those that run and hear the others. */
  get whole(): readonly Member[] {
    return this.running.filter(({ isCutOff }) => !isCutOff)
  }

  get isRestarting(): boolean {
    return this.#restarting !== null
  }

  member(id: string): Member {
    const member = this.members.find((known) => known.id === id)
    if (member !== undefined) return member
    const known = NAMES.join(', ')
    throw new ColmenaError('ERR_INVALID_ARGUMENT', `there is no node '${id}', only ${known}`)
  }

  cards(now: number): readonly NodeCard[] {
    return this.members.map((member) => member.card(now, this.lag))
  }

  notice(): Notice | null {
    const voters = this.members.filter(({ isLearner }) => !isLearner)
    const away = voters.filter((voter) => !this.whole.includes(voter))
    if (voters.length - away.length >= Math.floor(voters.length / 2) + 1) return null
    const names = away.map(({ id }) => id).join(' and ')
    return {
      title: `${away.length} of ${voters.length} voters are away: writes wait.`,
      text:
        `A write counts once most voters have it on disk, and ${names} are away. Nothing that ` +
        'was acknowledged is lost, and what a node has it still reads at level none. Join a ' +
        'voter again, or restart one that is gone, and writes go on by themselves.',
    }
  }

  /** Kills the node's process, as a power cut would, and starts it again. */
  restart(id: string): void {
    const member = this.member(id)
    if (this.#restarting !== null) {
      throw new ColmenaError(
        'ERR_BUSY',
        `${this.#restarting.id} is being restarted, and only one node is at a time: wait until ` +
          'it runs again',
        { retryable: true },
      )
    }
    this.#restarting = member
    void this.#restart(member).finally(() => {
      this.#restarting = null
    })
  }

  /** Nothing gets through any more between this node and the others. */
  cut(id: string): void {
    const member = this.member(id)
    if (member.isCutOff) throw wrongState(`${id} is cut off already`)
    member.cutOff()
    for (const other of this.members) if (other !== member) this.#cutLink(member, other)
    this.elections.lost(id, Date.now())
    this.#listener.happened(`${id} cut off from the others`, true)
  }

  join(id: string): void {
    const member = this.member(id)
    if (!member.isCutOff) throw wrongState(`${id} is not cut off`)
    member.joinAgain(Date.now())
    for (const other of this.members) {
      // Of two that are cut off, the other one still is.
      if (other === member || other.isCutOff) continue
      other.proxy.join(member.id)
      member.proxy.join(other.id)
    }
    this.elections.found(id)
    this.#listener.happened(`${id} joined the others again`, true)
  }

  /** @throws ColmenaError where the node does not lead, or nobody can take over. */
  async stepDown(id: string): Promise<void> {
    const member = this.member(id)
    if (this.leader !== member || member.running === null) {
      throw wrongState(`${id} does not lead, so it can't step down`)
    }
    this.#listener.happened(`${id} was asked to step down`, true)
    this.elections.lost(id, Date.now())
    try {
      await member.running.call('stepDown')
    } catch (error) {
      this.elections.found(id)
      throw error
    }
  }

  /** Called four times a second. */
  look(now: number): void {
    this.lag.add(now, Math.max(0, ...this.members.map(({ knownIndex }) => knownIndex)))
    for (const member of this.members) member.look(now, this.lag)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.members.map((member) => member.kill()))
    for (const proxy of this.#proxies) proxy.close()
    this.#folder.remove()
  }

  async #start(progress: (line: string) => void): Promise<void> {
    const ports = await this.#openProxies()
    for (const [at, name] of NAMES.entries()) {
      const options = this.#optionsOf(at, name, neighbourOf(ports[at] as number))
      const proxy = this.#proxies[at] as NodeProxy
      this.members.push(new Member(at, options, proxy, this.#memberListener()))
    }
    const [first, ...others] = this.members as [Member, ...Member[]]
    progress(`starting ${first.id} in a process of its own`)
    await first.start(Date.now())
    progress(`starting ${others.map(({ id }) => id).join(', ')}, which join it`)
    await Promise.all(others.map((member) => member.start(Date.now())))
    progress('waiting until three of them vote')
    await this.#untilReady(first)
    for (const member of this.members) member.settle()
    this.#isReady = true
  }

  /** Gives the ports of the proxies: members know each other by them, so they stay as they were. */
  async #openProxies(): Promise<readonly number[]> {
    const open = (port: number): Promise<NodeProxy> => NodeProxy.open(neighbourOf(port), port)
    const ports: number[] = []
    for (const at of NAMES.keys()) {
      const known = this.#folder.ports?.[at]
      const pair =
        known === undefined ? await openPair(open) : { opened: await open(known), port: known }
      this.#proxies.push(pair.opened)
      ports.push(pair.port)
    }
    this.#folder.keepPorts(ports)
    return ports
  }

  #optionsOf(at: number, nodeId: string, port: number): OpenOptions {
    const first = this.#proxies[0] as NodeProxy
    return {
      ...SETTINGS,
      nodeId,
      dataDir: join(this.#folder.path, nodeId),
      bind: `127.0.0.1:${port}`,
      advertise: (this.#proxies[at] as NodeProxy).address,
      ...(at === 0 ? { bootstrap: true } : { join: first.address }),
      ...(at < VOTERS ? {} : { joinAs: 'learner' }),
    }
  }

  #memberListener(): ConstructorParameters<typeof Member>[3] {
    const listener = this.#listener
    return {
      fates: (_, fates) => listener.fates(fates),
      applied: (member) => listener.applied(member),
      leader: (member, leaderId, term) => {
        const words = this.elections.told(member.id, leaderId, term, Date.now())
        if (words !== null) listener.happened(words, false)
      },
      exited: (member) => {
        this.elections.lost(member.id, Date.now())
        listener.exited(member)
        if (this.#isClosed || this.#ending.has(member)) return
        listener.happened(`${member.id} ended by itself: restart it`, true)
      },
      levelAgain: ({ id }, afterMs) => {
        if (!this.#isReady) return
        listener.happened(`${id} level again after ${formatSeconds(afterMs)}`, false)
      },
    }
  }

  async #untilReady(first: Member): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS
    for (;;) {
      this.look(Date.now())
      const voters = this.members.filter(({ votes }) => votes).length
      const handle = first.running
      const error = voters < VOTERS ? null : await makeTable(handle)
      if (voters >= VOTERS && error === null) return
      if (handle === null || Date.now() > deadline) {
        throw new ColmenaError(
          'ERR_JOIN_FAILED',
          `the four nodes did not become a cluster within ${START_TIMEOUT_MS / 1000} s: ` +
            `${voters} of ${VOTERS} vote`,
          { cause: error },
        )
      }
      await pause(POLL_MS)
    }
  }

  async #restart(member: Member): Promise<void> {
    this.#ending.add(member)
    const wasRunning = member.running !== null
    await member.kill()
    if (wasRunning) this.#listener.happened(`${member.id} killed`, true)
    await pause(DOWN_MS)
    if (this.#isClosed) return
    this.#ending.delete(member)
    try {
      await member.start(Date.now())
    } catch (error) {
      if (this.#isClosed) return
      const why = error instanceof Error ? error.message : String(error)
      this.#listener.happened(`${member.id} did not start: ${why}`, true)
    }
  }

  #cutLink(one: Member, other: Member): void {
    other.proxy.cut(one.id)
    one.proxy.cut(other.id)
  }
}

/** Resolves with what went wrong, null if nothing did. */
async function makeTable(handle: Member['running']): Promise<unknown> {
  try {
    await handle?.call('makeTable')
    return null
  } catch (error) {
    return error
  }
}

function wrongState(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
