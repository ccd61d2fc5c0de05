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
import { NodeHandle } from '../processes/node-handle.ts'
import type { NodeCalls } from '../processes/protocol.ts'
import { SmallDisk } from '../processes/small-disk.ts'
import { until } from '../processes/wait.ts'
import { inTime } from './in-time.ts'
import { NO_TROUBLE, type Trouble } from './trouble.ts'
import { Wires } from './wires.ts'

/** Options that may differ between the nodes of a cluster, and change with a restart. */
export type Preset = Partial<OpenOptions>

const PRELOAD = `--import=${new URL('trouble.ts', import.meta.url).href}`
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

/** All nodes of a run, in processes of their own, with proxies between them. */
export class Rig {
  readonly wires: Wires = new Wires()
  readonly seats: readonly Seat[]
  readonly #options: RigOptions
  #ports: readonly number[] = []

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
      preset: {},
      // The others' writes go to a real disk, with real syncs.
      disk: at % 2 === 1 ? mountDisk(join(options.folder, `disk-${at + 1}`)) : null,
      output: openSync(join(options.folder, `node-${at + 1}.log`), 'a'),
    }))
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
    await this.open(first as Seat)
    await Promise.all(others.map((seat) => this.open(seat)))
    await this.untilVoters()
  }

  /** Starts a process at this seat, which has none, and opens its node. */
  async open(seat: Seat): Promise<void> {
    this.setTrouble(seat, NO_TROUBLE)
    const env = { TEST_TROUBLE_FILE: this.#troublePath(seat), NODE_OPTIONS: PRELOAD }
    const handle = new NodeHandle(undefined, env, seat.output)
    seat.handle = handle
    try {
      await handle.call('open', this.#optionsOf(seat))
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
    for (const event of handle.events) this.note(seat, JSON.stringify(event))
  }

  async stop(seat: Seat): Promise<void> {
    seat.isOpen = false
    await seat.handle?.call('close').catch((error) => this.note(seat, `close failed: ${error}`))
    await this.kill(seat)
  }

  pause(seat: Seat): void {
    if (seat.handle === null || !seat.handle.isRunning) return
    seat.isPaused = true
    process.kill(seat.handle.pid, 'SIGSTOP')
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

  /** Another member takes this place, with nothing of the one before, whose process is gone. */
  renew(seat: Seat): void {
    rmSync(this.dataDir(seat), { recursive: true, force: true })
    seat.life += 1
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

  /** Nodes that ended by themselves, of which each is an oddity, are started again. */
  async revive(): Promise<void> {
    for (const seat of this.seats) {
      const { handle } = seat
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
      await this.open(seat).catch(() => {})
    }
  }

  /** Ends everything but the files. */
  async end(): Promise<void> {
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
  }

  #troublePath({ at }: Seat): string {
    return join(this.#options.folder, `trouble-${at + 1}.json`)
  }

  #optionsOf(seat: Seat): OpenOptions {
    const address = (port: number | undefined): string => `127.0.0.1:${port}`
    const others = this.seats.filter(({ at }) => at !== seat.at)
    const isFirst = seat.at === 0 && seat.life === 1
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
