import { ColmenaError } from '../index.ts'
import { Elections } from './elections.ts'
import { LagHistory } from './lag.ts'
import { Member, type MemberListener } from './member.ts'
import type { WriteFate } from './node-messages.ts'
import type { NodeCard, Notice } from './protocol.ts'
import type { Links, Site } from './site.ts'
import { formatSeconds } from './story.ts'

export interface ClusterListener {
  fates(fates: readonly WriteFate[]): void
  /** This member has applied more. */
  applied(member: Member): void
  /** What went to this member will not be answered any more. */
  exited(member: Member): void
  /** Something to be told, in words; a fault is marked in the chart as well. */
  happened(text: string, isFault: boolean): void
  /** Members came or went; why, in words. */
  changed(text: string): void
}

const NOBODY: ClusterListener = {
  fates() {},
  applied() {},
  exited() {},
  happened() {},
  changed() {},
}

/** The nodes, wherever they run, and what is done to them. */
export class Cluster {
  readonly elections: Elections = new Elections()
  readonly lag: LagHistory = new LagHistory()
  readonly #site: Site
  readonly #members: Member[] = []
  #listener: ClusterListener = NOBODY
  #restarting: Member | null = null

  constructor(site: Site) {
    this.#site = site
  }

  /** By their ids. */
  get members(): readonly Member[] {
    return this.#members
  }

  get site(): Site['kind'] {
    return this.#site.kind
  }

  get canCut(): boolean {
    return this.#site.links !== null
  }

  /** Those whose end leaves the page and its tally as they are. */
  get breakable(): readonly Member[] {
    return this.#members.filter(({ id }) => id !== this.#site.pageId)
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

  /** There is one listener at a time; null for nobody. */
  listen(listener: ClusterListener | null): void {
    this.#listener = listener ?? NOBODY
  }

  add(id: string, isLearner: boolean): Member {
    const member = new Member(id, isLearner, this.#memberListener())
    this.#members.push(member)
    this.#members.sort((one, other) => (one.id < other.id ? -1 : 1))
    this.#listener.changed(`${id} is a member now`)
    return member
  }

  /** It is no member any more. */
  async remove(member: Member): Promise<void> {
    this.#members.splice(this.#members.indexOf(member), 1)
    this.#listener.changed(`${member.id} is no member any more`)
    await member.close()
  }

  member(id: string): Member {
    const member = this.members.find((known) => known.id === id)
    if (member !== undefined) return member
    const known = this.members.map((other) => other.id).join(', ')
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
    const links = this.#links
    if (member.isCutOff) throw wrongState(`${id} is cut off already`)
    member.cutOff()
    for (const other of this.members) if (other !== member) links.cut(member, other)
    this.elections.lost(id, Date.now())
    this.#listener.happened(`${id} cut off from the others`, true)
  }

  join(id: string): void {
    const member = this.member(id)
    const links = this.#links
    if (!member.isCutOff) throw wrongState(`${id} is not cut off`)
    member.joinAgain(Date.now())
    for (const other of this.members) {
      // Of two that are cut off, the other one still is.
      if (other !== member && !other.isCutOff) links.join(member, other)
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
    this.listen(null)
    await this.#site.close()
  }

  get #links(): Links {
    const { links } = this.#site
    if (links !== null) return links
    throw wrongState('the links between machines are not ours to cut: restart one instead')
  }

  #memberListener(): MemberListener {
    return {
      fates: (_, fates) => this.#listener.fates(fates),
      applied: (member) => this.#listener.applied(member),
      leader: (member, leaderId, term) => {
        const words = this.elections.told(member.id, leaderId, term, Date.now())
        if (words !== null) this.#listener.happened(words, false)
      },
      exited: (member) => {
        this.elections.lost(member.id, Date.now())
        this.#listener.exited(member)
        const isExpected = this.#restarting === member || !this.#members.includes(member)
        if (isExpected) return
        this.#listener.happened(`${member.id} ended by itself: ${this.#site.advice}`, true)
      },
      levelAgain: ({ id }, afterMs) => {
        this.#listener.happened(`${id} level again after ${formatSeconds(afterMs)}`, false)
      },
    }
  }

  async #restart(member: Member): Promise<void> {
    const wasRunning = member.running !== null
    await member.kill()
    if (wasRunning) this.#listener.happened(`${member.id} killed`, true)
    try {
      await this.#site.revive(member)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      this.#listener.happened(`${member.id} did not start: ${why}`, true)
    }
  }
}

function wrongState(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
