import {
  closeSync,
  cpSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import type { NodeStatus, OpenOptions } from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { NodeHandle, optionsToPreload } from '../processes/node-handle.ts'
import type { NodeCalls } from '../processes/protocol.ts'
import { SmallDisk } from '../processes/small-disk.ts'
import { until } from '../processes/wait.ts'
import { Guard } from './guard.ts'
import { inTime, Overdue } from './in-time.ts'
import { countStrikes, NO_TROUBLE, type Trouble, type TroubleKind } from './trouble.ts'
import { Wires } from './wires.ts'

/** Options that may differ between the nodes of a cluster, and change with a restart. */
export type Preset = Partial<OpenOptions>

const PRELOAD = optionsToPreload(new URL('trouble.ts', import.meta.url))
const SEGMENT_BYTES = 256 * 1024
const DISK_MIB = 192
type Question = 'status' | 'members' | 'peakMemoryBytes'
export const ELECTION_TIMEOUT_MS_MAX = 800
export const REQUEST_TIMEOUT_MS = 3_000
const BASE: Preset = {
  heartbeatMs: 60,
  electionTimeoutMs: 400,
  requestTimeoutMs: REQUEST_TIMEOUT_MS,
  joinTimeoutMs: 30_000,
  // Small, so that whoever was away gets snapshots.
  logSegmentBytes: SEGMENT_BYTES,
  logRetainBytes: SEGMENT_BYTES,
}
/** What a question to a node that may stand still is waited for. */
const ASK_MS = 1_000
/** Whoever has not closed by then hangs. */
const STOP_MS = 30_000

/** One place in the cluster: a node, its process, and what is wrong with it at present. */
export interface Seat {
  readonly at: number
  /** Rises each time that another member takes this place. */
  life: number
  handle: NodeHandle | null
  /** Whether it takes calls, as far as is known. */
  isOpen: boolean
  isPaused: boolean
  /** Somebody began to remove its member: it may end at any time. */
  isLeaving: boolean
  /** A fault keeps it down: it is that fault's to start again. */
  isHeldDown: boolean
  preset: Preset
  readonly disk: SmallDisk | null
  readonly output: number
}

export interface RigOptions {
  readonly count: number
  readonly folder: string
  readonly strongReads: 'majority' | 'lease'
  /** Told of what no fault explains. */
  readonly oddity: (text: string) => void
}

/** A worker that is lost is missed soon, and a close waits for no handler that hangs. */
const JOBS = { workers: 4, leaseMs: 3_000, pollMs: 500, drainMs: 500 }

/** All nodes of a run, in processes of their own, with proxies between them. */
export class Rig {
  readonly wires: Wires = new Wires()
  readonly seats: readonly Seat[]
  readonly #options: RigOptions
  #ports: readonly number[] = []
  readonly #guard: Guard
  #isOver = false

  constructor(options: RigOptions) {
    this.#options = options
    mkdirSync(options.folder, { recursive: true })
    this.seats = Array.from({ length: options.count }, (_, at) => ({
      at,
      life: 1,
      handle: null,
      isOpen: false,
      isPaused: false,
      isLeaving: false,
      isHeldDown: false,
      preset: {},
      // The others' writes go to a real disk, with real syncs.
      disk: at % 2 === 1 ? mountDisk(join(options.folder, `disk-${at + 1}`)) : null,
      output: openSync(join(options.folder, `node-${at + 1}.log`), 'a'),
    }))
    this.#guard = new Guard(this.seats.flatMap(({ disk }) => (disk === null ? [] : [disk.path])))
  }

  get count(): number {
    return this.seats.length
  }

  seat(at: number): Seat {
    return this.seats[at % this.count] as Seat
  }

  name({ at, life }: Seat): string {
    return `node-${at + 1}.${life}`
  }

  dataDir(seat: Seat): string {
    return join(seat.disk?.path ?? this.#options.folder, this.name(seat))
  }

  async start(): Promise<void> {
    const ports = await findFreePorts(2 * this.count)
    this.#ports = ports
    for (const { at } of this.seats) {
      await this.wires.open(at, ports[at] as number, ports[this.count + at] as number)
    }
    const [first, ...others] = this.seats
    await this.open(first as Seat, true)
    await Promise.all(others.map((seat) => this.open(seat)))
    await this.untilVoters()
  }

  /** Starts a process at this seat, which has none, and opens its node. */
  async open(seat: Seat, isFirst = false): Promise<void> {
    if (this.#isOver) throw new Error('the run is over')
    this.setTrouble(seat, NO_TROUBLE)
    const env = { TEST_TROUBLE_FILE: this.#troublePath(seat), NODE_OPTIONS: PRELOAD }
    const handle = new NodeHandle({ env, output: seat.output })
    seat.handle = handle
    this.#watch()
    try {
      await handle.call('open', this.#optionsOf(seat, isFirst))
      await handle.call('startJobs', JOBS)
      seat.isOpen = seat.handle === handle
    } catch (error) {
      this.note(seat, `open failed: ${error}`)
      if (seat.handle === handle) await this.kill(seat)
      if (seat.isLeaving && codeOf(error) === 'ERR_REMOVED') {
        seat.isLeaving = false
        this.renew(seat)
      }
      throw error
    }
  }

  /** Its process is gone when this resolves, whatever it did. */
  async kill(seat: Seat): Promise<void> {
    const { handle } = seat
    seat.isOpen = false
    seat.handle = null
    seat.isPaused = false
    if (handle === null) return
    await handle.kill()
    this.#watch()
    for (const event of handle.events) this.note(seat, JSON.stringify(event))
  }

  /** Whether it closed before its process was ended. */
  async stop(seat: Seat): Promise<boolean> {
    seat.isOpen = false
    const closed = inTime(STOP_MS, seat.handle?.call('close') ?? Promise.reject('it is down'))
    const isClean = await closed.then(
      () => true,
      (error: unknown) => {
        this.note(seat, `close failed: ${error}`)
        if (error instanceof Overdue) this.#options.oddity(`${this.name(seat)}, close(): ${error}`)
        return false
      },
    )
    await this.kill(seat)
    return isClean
  }

  /** Lets nobody else start these seats while something is done to them, and then starts them. */
  async holdDown(seats: readonly Seat[], work: () => Promise<void>): Promise<void> {
    for (const seat of seats) seat.isHeldDown = true
    await work().finally(() => {
      for (const seat of seats) seat.isHeldDown = false
    })
    await Promise.all(seats.map((seat) => this.#reopen(seat)))
  }

  /** Whether it is stopped now. */
  pause(seat: Seat): boolean {
    if (seat.handle === null || !seat.handle.isRunning) return false
    seat.isPaused = true
    process.kill(seat.handle.pid, 'SIGSTOP')
    return true
  }

  resume(seat: Seat): void {
    if (!seat.isPaused || !seat.handle?.isRunning) return
    seat.isPaused = false
    process.kill(seat.handle.pid, 'SIGCONT')
  }

  setTrouble(seat: Seat, trouble: Trouble): void {
    // Never half of it: whoever looks reads the old or the new.
    const path = this.#troublePath(seat)
    writeFileSync(`${path}.new`, JSON.stringify(trouble))
    renameSync(`${path}.new`, path)
  }

  /** How often a trouble of this seat did something. */
  strikes(seat: Seat, kind: TroubleKind): number {
    return countStrikes(this.#troublePath(seat), kind)
  }

  /** What a member had is gone, whose process is gone already. */
  empty(seat: Seat): void {
    rmSync(this.dataDir(seat), { recursive: true, force: true })
  }

  /** Another member takes this place, with nothing of the one before, whose process is gone. */
  renew(seat: Seat): void {
    this.empty(seat)
    seat.life += 1
  }

  /** Whether the member at this seat forgets what it said where its process is killed. */
  isRelaxed({ preset }: Seat): boolean {
    return preset.durability === 'relaxed'
  }

  /** Whether every node is there and votes, as all of them see it. */
  async allVote(): Promise<boolean> {
    const views = await Promise.all(this.seats.map((seat) => this.ask(seat, 'members')))
    return views.every(
      (view) => view?.length === this.count && view.every(({ role }) => role === 'voter'),
    )
  }

  /** Whether this member may lose what it has: all others are there, and none of them may. */
  async mayForget(seat: Seat): Promise<boolean> {
    const others = this.seats.filter((other) => other !== seat)
    return others.every((other) => !this.isRelaxed(other)) && this.allVote()
  }

  /** Whether there may be a voter less: not where one that may forget was needed then. */
  async canSpare(): Promise<boolean> {
    return this.seats.every((seat) => !this.isRelaxed(seat)) || this.allVote()
  }

  note(seat: Seat, text: string): void {
    writeSync(seat.output, `${new Date().toISOString()} ${this.name(seat)} ${text}\n`)
  }

  /** A question to a node, which may stand still: null where it does not answer. */
  async ask<Name extends Question>(
    seat: Seat,
    method: Name,
  ): Promise<ReturnType<NodeCalls[Name]> | null> {
    if (!seat.isOpen || seat.handle === null) return null
    const answer = seat.handle.call<Name>(method, ...([] as unknown as Parameters<NodeCalls[Name]>))
    return inTime(ASK_MS, answer).catch(() => null)
  }

  /** Where the leader is: the newest that says so of itself. */
  async leader(): Promise<Seat | null> {
    const statuses = await this.statuses()
    let found: { readonly seat: Seat; readonly term: number } | null = null
    for (const { seat, status } of statuses) {
      if (status.role !== 'leader' || status.term < (found?.term ?? 0)) continue
      found = { seat, term: status.term }
    }
    return found?.seat ?? null
  }

  async statuses(): Promise<readonly { readonly seat: Seat; readonly status: NodeStatus }[]> {
    const all = await Promise.all(
      this.seats.map(async (seat) => ({ seat, status: await this.ask(seat, 'status') })),
    )
    return all.flatMap(({ seat, status }) => (status === null ? [] : [{ seat, status }]))
  }

  async untilVoters(): Promise<void> {
    await until(`${this.count} voters`, async () => {
      const voters = (await this.statuses()).filter(({ status }) => !status.isLearner)
      return voters.length === this.count
    })
  }

  /** Nodes that are down and should not be are started, those that ended by themselves too. */
  async revive(): Promise<void> {
    for (const seat of this.seats) {
      const { handle } = seat
      if (handle === null && !seat.isHeldDown) void this.#reopen(seat)
      if (!seat.isOpen || handle === null) continue
      const failed = handle.eventsOf('closed').find(({ reason }) => reason === 'failed')
      if (failed === undefined && handle.isRunning) continue
      const why = handle.isRunning ? JSON.stringify(failed) : 'its process has ended'
      const wasRemoved = seat.isLeaving && why.includes('ERR_REMOVED')
      if (!wasRemoved) this.#options.oddity(`${this.name(seat)} ended by itself: ${why}`)
      // From here on it is nobody else's to replace.
      seat.isLeaving = false
      await this.kill(seat)
      if (wasRemoved) this.renew(seat)
      void this.#reopen(seat)
    }
  }

  /** Ends everything but the files. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.seats.map((seat) => this.kill(seat)))
    this.wires.close()
  }

  /** Leaves what a failure is read from; the data too where `keepsData`. */
  release(keepsData: boolean): void {
    for (const seat of this.seats) {
      closeSync(seat.output)
      const dataDir = this.dataDir(seat)
      // What is on a disk of its own is gone with that.
      if (keepsData && seat.disk !== null) {
        cpSync(dataDir, join(this.#options.folder, this.name(seat)), { recursive: true })
      }
      if (!keepsData) rmSync(dataDir, { recursive: true, force: true })
      seat.disk?.unmount()
    }
    this.#guard.end()
  }

  #watch(): void {
    this.#guard.watch(this.seats.flatMap(({ handle }) => (handle?.isRunning ? [handle.pid] : [])))
  }

  /** What fails here is begun again, sooner or later. */
  async #reopen(seat: Seat): Promise<void> {
    if (seat.handle === null) await this.open(seat).catch(() => {})
  }

  #troublePath({ at }: Seat): string {
    return join(this.#options.folder, `trouble-${at + 1}.json`)
  }

  #optionsOf(seat: Seat, isFirst: boolean): OpenOptions {
    const address = (port: number | undefined): string => `127.0.0.1:${port}`
    const others = this.seats.filter(({ at }) => at !== seat.at)
    return {
      ...BASE,
      strongReads: this.#options.strongReads,
      ...seat.preset,
      nodeId: this.name(seat),
      dataDir: this.dataDir(seat),
      bind: address(this.#ports[this.count + seat.at]),
      advertise: address(this.#ports[seat.at]),
      ...(isFirst
        ? { bootstrap: true }
        : { join: others.map(({ at }) => address(this.#ports[at])) }),
    }
  }
}

function codeOf(error: unknown): string {
  return (error as { readonly code?: string }).code ?? ''
}

function mountDisk(path: string): SmallDisk | null {
  try {
    return new SmallDisk(path, DISK_MIB)
  } catch {
    return null
  }
}
