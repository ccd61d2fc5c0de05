import type { Clock, Random } from '../base/ports.ts'
import type { Message, Raft, Snapshot } from '../raft/raft.ts'
import {
  decodeMessage,
  encodeMessage,
  type SnapshotManifest,
  type Transport,
} from '../transport/transport.ts'
import type { Applier, SnapshotCopy } from './ports.ts'

/** How long a copy without a taker is kept for the next one. */
const IDLE_COPY_MS = 30_000
const ID_BYTES = 16

/** The copy that streams are fed from, and its directory under the data directory. */
interface ReadyCopy {
  readonly id: Uint8Array
  readonly directory: string
  readonly copy: SnapshotCopy
  usedMs: number
}

export interface SnapshotsOptions {
  readonly raft: Raft
  readonly applier: Applier
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly dataDir: string
  /** The generation in use when the node started. */
  readonly generation: number
  readonly firstIndex: () => number
  /** A copy is ready, or a stream ended: the core may go on. */
  readonly changed: () => void
  readonly warning: (code: string, message: string) => void
}

/**
 * Databases on their way to members whose log is too far behind. On the leader: one copy at one
 * index, made when first needed, streamed to whoever needs it. On the receiver: each snapshot goes
 * into a generation directory of its own, and only then does the core hear of it.
 */
export class Snapshots {
  readonly #options: SnapshotsOptions
  #ready: ReadyCopy | null = null
  #isCopying = false
  readonly #streams = new Map<number, () => void>()
  /** Which generation holds which snapshot: a broken stream goes on where it was. */
  readonly #generations = new Map<string, number>()
  #nextGeneration: number
  #received: { index: number; term: number; generation: number } | null = null
  /** Since the start. */
  sentCount = 0
  receivedCount = 0

  constructor(options: SnapshotsOptions) {
    this.#options = options
    this.#nextGeneration = options.generation + 1
  }

  /** The lowest index that a stream's taker will need next; null while there is no stream. */
  get neededIndex(): number | null {
    return this.#ready === null ? null : this.#ready.copy.index
  }

  /** For the core: the snapshot to send, or a word that one is being made. */
  latest(): Snapshot | 'unavailable' {
    const { firstIndex } = this.#options
    if (this.#ready !== null && this.#ready.copy.index + 1 < firstIndex()) this.#drop()
    if (this.#ready === null) {
      this.#copy()
      return 'unavailable'
    }
    const { index, term, confState } = this.#ready.copy
    return { meta: { index, term, confState }, data: this.#ready.id }
  }

  /** Streams what the core's snapshot message names. */
  send(message: Message): void {
    const { transport, raft, clock, dataDir, changed } = this.#options
    const ready = this.#ready
    if (ready === null || this.#streams.has(message.to)) {
      raft.reportSnapshot(message.to, false)
      return
    }
    ready.usedMs = clock.nowMs()
    const { index, term, files } = ready.copy
    const extra = Buffer.concat(encodeMessage(message))
    const manifest: SnapshotManifest = { id: ready.id, index, term, extra, files }
    const cancel = transport.sendSnapshot(
      message.to,
      manifest,
      `${dataDir}/${ready.directory}`,
      (error) => {
        this.#streams.delete(message.to)
        ready.usedMs = clock.nowMs()
        if (error === null) this.sentCount += 1
        raft.reportSnapshot(message.to, error === null)
        changed()
      },
    )
    this.#streams.set(message.to, cancel)
  }

  /** A leader offers a snapshot: take it unless we are past it. */
  offered(
    manifest: SnapshotManifest,
    accept: (directory: string) => void,
    refuse: (reason: string) => void,
  ): void {
    const { raft, dataDir } = this.#options
    if (manifest.index <= raft.commit) {
      refuse(`already at index ${raft.commit}`)
      return
    }
    const key = Buffer.from(manifest.id).toString('hex')
    let generation = this.#generations.get(key)
    if (generation === undefined) {
      generation = this.#nextGeneration
      this.#nextGeneration += 1
      this.#generations.set(key, generation)
    }
    accept(`${dataDir}/db/${generation}`)
  }

  /** All files are here, whole and durable: now the core may decide. */
  received(manifest: SnapshotManifest, error: Error | null): void {
    const { raft, warning, changed } = this.#options
    if (error !== null) {
      warning('ERR_SNAPSHOT', `receiving a snapshot broke off: ${error.message}; it goes on`)
      return
    }
    const key = Buffer.from(manifest.id).toString('hex')
    const generation = this.#generations.get(key)
    const message = decodeMessage(manifest.extra)
    if (generation === undefined || message === null || message.type !== 'snapshot') return
    this.#generations.delete(key)
    this.#received = { index: manifest.index, term: manifest.term, generation }
    this.receivedCount += 1
    raft.step(message)
    changed()
  }

  /** Where the snapshot lies that the core accepted. */
  generationOf(snapshot: Snapshot): number | null {
    const { index, term } = snapshot.meta
    const found = this.#received
    return found !== null && found.index === index && found.term === term ? found.generation : null
  }

  tick(): void {
    const ready = this.#ready
    if (ready === null || this.#streams.size > 0) return
    if (this.#options.clock.nowMs() - ready.usedMs > IDLE_COPY_MS) this.#drop()
  }

  close(): void {
    for (const cancel of [...this.#streams.values()]) cancel()
    this.#streams.clear()
  }

  #copy(): void {
    if (this.#isCopying) return
    this.#isCopying = true
    const { applier, random, clock, warning, changed } = this.#options
    const id = new Uint8Array(ID_BYTES)
    const view = new DataView(id.buffer)
    for (let at = 0; at < ID_BYTES; at += 4) view.setUint32(at, random.u32())
    const directory = `snapshot/${Buffer.from(id).toString('hex')}`
    applier.copySnapshot(directory, (error, copy) => {
      this.#isCopying = false
      if (error !== null || copy === null) {
        warning('ERR_SNAPSHOT', `copying the databases failed: ${error?.message}; trying again`)
        return
      }
      this.#ready = { id, directory, copy, usedMs: clock.nowMs() }
      changed()
    })
  }

  #drop(): void {
    if (this.#ready === null || this.#streams.size > 0) return
    this.#options.applier.removeSnapshot(this.#ready.directory)
    this.#ready = null
  }
}
