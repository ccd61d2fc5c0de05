import type { Cancel, Clock, Random } from '../base/ports.ts'
import type { SnapshotMark } from '../log/log.ts'
import {
  type ConfState,
  createMessage,
  isMember,
  type MemberId,
  type Message,
  type Raft,
  type Snapshot,
} from '../raft/raft.ts'
import {
  decodeMessage,
  encodeMessage,
  type SnapshotManifest,
  type Transport,
} from '../transport/transport.ts'
import type { Details } from './decisions.ts'
import type { Applier, SnapshotCopy } from './ports.ts'

/** How long a copy without a taker is kept for the next one. */
const IDLE_COPY_MS = 30_000
/** Whoever is this close to the commit index needs no more than the ordinary log. */
const CAUGHT_UP_ENTRIES = 100
/** How long the log behind a copy is kept for whoever was waiting for it, or lost it half-way. */
const AWAITED_COPY_MS = 10_000
const ID_BYTES = 16

/** A copy that streams are fed from, and its directory under the data directory. */
interface ReadyCopy {
  readonly id: Uint8Array
  readonly directory: string
  readonly copy: SnapshotCopy
  usedMs: number
}

interface Stream {
  readonly source: ReadyCopy
  cancel: Cancel
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
  /** Members that a snapshot must know, or they would refuse it. */
  readonly confState: () => ConfState
  /** A copy is ready, or a stream ended: the core may go on. */
  readonly changed: () => void
  readonly warning: (code: string, message: string) => void
  readonly decided: (what: string, details: Details) => void
  /** Whether a copy at this index is wanted in place of files that differ. */
  readonly takes: (index: number) => boolean
  /** It is here, whole and durable; false if it is for the core to decide. */
  readonly arrived: (mark: SnapshotMark) => boolean
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
  /** The log after this is kept for a copy that is being made, or that someone is about to take. */
  #awaited: { readonly index: number; readonly sinceMs: number } | null = null
  readonly #streams = new Map<MemberId, Stream>()
  /** Members that have received a copy and must go on from the log behind it. */
  readonly #takers = new Map<MemberId, { readonly index: number; readonly sinceMs: number }>()
  /** Which generation holds which snapshot: a broken stream goes on where it was. */
  readonly #generations = new Map<string, number>()
  #nextGeneration: number
  #received: { index: number; term: number; generation: number } | null = null
  /** Since the start. */
  sentCount = 0
  receivedCount = 0
  /** Of those that arrived whole. */
  sentBytes = 0
  receivedBytes = 0

  constructor(options: SnapshotsOptions) {
    this.#options = options
    this.#nextGeneration = options.generation + 1
  }

  /**
   * The lowest index that whoever takes a copy will need next; null if nobody does. A copy that
   * only waits for a next taker pins nothing: without the log behind it, another one is made.
   */
  get neededIndex(): number | null {
    let lowest: number | null = null
    const streamed = [...this.#streams.values()].map(({ source }) => source.copy.index)
    const taken = [...this.#takers.values()].map(({ index }) => index)
    const awaited = this.#awaited === null ? [] : [this.#awaited.index]
    for (const index of [...streamed, ...taken, ...awaited]) {
      if (lowest === null || index < lowest) lowest = index
    }
    return lowest
  }

  /** For the core: the snapshot to send, or a word that one is being made. */
  latest(): Snapshot | 'unavailable' {
    if (this.#ready !== null && !this.#isUsable(this.#ready.copy)) this.#retire()
    if (this.#ready === null) {
      this.#copy()
      return 'unavailable'
    }
    const { index, term, confState } = this.#ready.copy
    return { meta: { index, term, confState }, data: this.#ready.id }
  }

  /** Streams what the core's snapshot message names. */
  send(message: Message): void {
    const { transport, raft, clock, dataDir } = this.#options
    const source = this.#ready
    if (source === null || this.#streams.has(message.to)) {
      raft.reportSnapshot(message.to, false)
      return
    }
    const { index, term, files } = source.copy
    const extra = Buffer.concat(encodeMessage(message))
    const manifest: SnapshotManifest = { id: source.id, index, term, extra, files }
    const stream: Stream = { source, cancel: () => {} }
    this.#streams.set(message.to, stream)
    this.#awaited = null
    source.usedMs = clock.nowMs()
    const directory = `${dataDir}/${source.directory}`
    stream.cancel = transport.sendSnapshot(message.to, manifest, directory, (error) =>
      this.#streamEnded(message.to, source, error),
    )
  }

  /** Streams a copy at `index` or later to a member whose log is fine, but not its files. */
  offer(to: MemberId, index: number): void {
    const { raft } = this.#options
    if (this.#streams.has(to)) return
    if (this.#ready !== null && this.#ready.copy.index < index) this.#retire()
    const snapshot = this.latest()
    // It asks again, and then there is one.
    if (snapshot === 'unavailable' || snapshot.meta.index < index) return
    const message = createMessage('snapshot', raft.id, to)
    message.term = raft.term
    message.snapshot = snapshot
    this.send(message)
  }

  /** No copy of files that may be wrong goes to anyone. */
  discard(): void {
    this.#retire()
  }

  /** A leader offers a snapshot: take it unless we are past it. */
  offered(
    manifest: SnapshotManifest,
    accept: (directory: string) => void,
    refuse: (reason: string) => void,
  ): void {
    const { raft, dataDir, takes } = this.#options
    if (manifest.index <= raft.commit && !takes(manifest.index)) {
      // The leader lost count of us: the core's answer to an old snapshot tells how far we are.
      this.#step(manifest)
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
    const { warning, decided, arrived } = this.#options
    if (error !== null) {
      warning('ERR_SNAPSHOT', `receiving a snapshot broke off: ${error.message}; it goes on`)
      return
    }
    const key = Buffer.from(manifest.id).toString('hex')
    const generation = this.#generations.get(key)
    if (generation === undefined) return
    this.#generations.delete(key)
    this.receivedCount += 1
    this.receivedBytes += sizeOf(manifest)
    const { index: snapshotIndex } = manifest
    decided('snapshotReceived', { snapshotIndex, generation, bytes: sizeOf(manifest) })
    const message = decodeMessage(manifest.extra)
    const confState = message?.snapshot?.meta.confState
    const { index, term } = manifest
    if (confState !== undefined && arrived({ index, term, generation, confState })) return
    this.#received = { index, term, generation }
    this.#step(manifest)
  }

  /** Where the snapshot lies that the core accepted. */
  generationOf(snapshot: Snapshot): number | null {
    const { index, term } = snapshot.meta
    const found = this.#received
    return found !== null && found.index === index && found.term === term ? found.generation : null
  }

  tick(): void {
    this.#releaseTakers()
    this.#releaseAwaited()
    const ready = this.#ready
    if (ready === null || this.#isStreamed(ready)) return
    if (this.#options.clock.nowMs() - ready.usedMs > IDLE_COPY_MS) this.#retire()
  }

  close(): void {
    for (const { cancel } of [...this.#streams.values()]) cancel()
  }

  #streamEnded(to: MemberId, source: ReadyCopy, error: Error | null): void {
    const { raft, clock, changed, warning } = this.#options
    this.#streams.delete(to)
    source.usedMs = clock.nowMs()
    if (error === null) {
      this.sentCount += 1
      this.sentBytes += sizeOf(source.copy)
      this.#takers.set(to, { index: source.copy.index, sinceMs: clock.nowMs() })
    } else {
      this.#await(source.copy.index)
      warning('ERR_SNAPSHOT', `sending a snapshot to member ${to} broke off: ${error.message}`)
    }
    if (source !== this.#ready) this.#removeUnused(source)
    raft.reportSnapshot(to, error === null)
    changed()
  }

  /** Hands the core the snapshot message that came along. */
  #step(manifest: SnapshotManifest): void {
    const { raft, changed } = this.#options
    const message = decodeMessage(manifest.extra)
    if (message === null || message.type !== 'snapshot') return
    raft.step(message)
    changed()
  }

  /**
   * A taker needs the log from where it is, until it has caught up: a log cut shorter than that
   * would cost it another snapshot, and under load yet another.
   */
  #releaseTakers(): void {
    if (this.#takers.size === 0) return
    const { raft, clock } = this.#options
    const progress = raft.status().progress
    const nowMs = clock.nowMs()
    for (const [id, { index, sinceMs }] of this.#takers) {
      const match = progress.find((one) => one.id === id)?.match
      if (match === undefined || match + CAUGHT_UP_ENTRIES >= raft.commit) this.#takers.delete(id)
      else if (match > index) this.#takers.set(id, { index: match, sinceMs: nowMs })
      else if (nowMs - sinceMs > IDLE_COPY_MS) this.#takers.delete(id)
    }
  }

  /** A copy is of no use once the log behind it is gone, or for members that it does not name. */
  #isUsable(copy: SnapshotCopy): boolean {
    if (copy.index + 1 < this.#options.firstIndex()) return false
    const { voters, learners } = this.#options.confState()
    return [...voters, ...learners].every((id) => isMember(copy.confState, id))
  }

  #isStreamed(copy: ReadyCopy): boolean {
    for (const { source } of this.#streams.values()) if (source === copy) return true
    return false
  }

  #copy(): void {
    if (this.#isCopying) return
    this.#isCopying = true
    const { applier, raft, random, clock, warning, changed, decided } = this.#options
    // Making it may take longer than filling a short log: every copy would come too late.
    this.#await(raft.applied)
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
      decided('snapshotCopied', { snapshotIndex: copy.index, bytes: sizeOf(copy) })
      this.#await(copy.index)
      changed()
    })
  }

  #await(index: number): void {
    this.#awaited = { index, sinceMs: this.#options.clock.nowMs() }
  }

  #releaseAwaited(): void {
    const awaited = this.#awaited
    if (awaited === null || this.#isCopying) return
    if (this.#options.clock.nowMs() - awaited.sinceMs > AWAITED_COPY_MS) this.#awaited = null
  }

  /** Streams that are under way may finish; nobody new gets this copy. */
  #retire(): void {
    const ready = this.#ready
    this.#ready = null
    if (ready !== null) this.#removeUnused(ready)
  }

  #removeUnused(copy: ReadyCopy): void {
    if (!this.#isStreamed(copy)) this.#options.applier.removeSnapshot(copy.directory)
  }
}

function sizeOf({ files }: Pick<SnapshotManifest, 'files'>): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}
