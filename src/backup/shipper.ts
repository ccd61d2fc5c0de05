import { randomBytes } from 'node:crypto'
import { ColmenaError, type ColmenaNode, isColmenaError } from '../index.ts'
import type { BackupClock } from './clock.ts'
import type { Head, Manifest, Owner, TakenSnapshot } from './contents.ts'
import { putSnapshot } from './copying.ts'
import { headName, manifestName, nameGeneration, OWNER, segmentName } from './names.ts'
import type { BackupConfig } from './options.ts'
import { checkOwner, digestAtBegin, findPosition, type Position } from './position.ts'
import type { BackupEvents } from './reports.ts'
import { rollSegment, type Segment } from './segment.ts'
import type { Store } from './store.ts'
import { tidyTarget } from './tidying.ts'

/** A segment has no more of the log, as it is before it is compressed. */
const SEGMENT_BYTES = 8 * 1024 * 1024
/** What is decoded, and hashed, in one turn of the event loop. */
const CHUNK_BYTES = 1024 * 1024
/** How often it is looked whether another cluster writes here as well. */
const OWNER_CHECK_MS = 60_000

export interface ShipperOptions {
  readonly node: ColmenaNode
  readonly store: Store
  readonly config: BackupConfig
  readonly clock: BackupClock
  readonly signal: AbortSignal
  /** Runs one copy of the databases at a time, whichever target it is for. */
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>
  /** Called before the log must last from another entry on; resolves once it does. */
  readonly held: () => Promise<void>
  readonly tell: <Name extends keyof BackupEvents>(name: Name, event: BackupEvents[Name][0]) => void
}

/** What the node had behind an entry. */
interface ReadLog extends Pick<Segment, 'chunks' | 'chunkMs' | 'last' | 'digests'> {
  /** Whether there was nothing more. */
  readonly isAll: boolean
}

/** What one target gets, while this node leads. One call at a time. */
export class Shipper {
  readonly #options: ShipperOptions
  #position: Position | null = null
  /** As it was last known. */
  known: Position | null = null
  /** Entries behind this one are still to be put there; null while it is not known which. */
  heldAfter: number | null = null
  /** When all that was applied was there. */
  caughtUpMs: number | null = null
  lagEntries = 0
  shippedBytes = 0
  #mergedUntil = 0
  /** A snapshot beside the shipping, and what comes after one. */
  #aside: Promise<void> | null = null
  #asideError: unknown = null
  #isHeadDue = false
  #headTurn: Promise<unknown> = Promise.resolve()
  #ownerCheckedMs = 0
  #snapshotTriedMs = 0

  constructor(options: ShipperOptions) {
    this.#options = options
  }

  /** It failed: where the target stands is to be looked for again. */
  forget(): void {
    this.#position = null
  }

  /** Another node leads, and says which part of the log is needed. */
  rest(): void {
    this.forget()
    this.heldAfter = null
  }

  /** Waits for what runs beside the shipping. */
  async settled(): Promise<void> {
    await this.#aside
  }

  /**
   * Puts there what is applied and not there yet.
   *
   * @throws ColmenaError of the target, of what is in it, or of the node
   */
  async sync(): Promise<void> {
    const { clock, store, node } = this.#options
    if (this.#position === null) await this.#find()
    else if (isOver(OWNER_CHECK_MS, this.#ownerCheckedMs, clock.nowMs())) {
      const { generation } = await checkOwner(store, node.shipping)
      this.#ownerCheckedMs = clock.nowMs()
      if (generation !== this.#position.generation) return this.forget()
    }
    await this.#ship()
    if (this.#isHeadDue) await this.#writeHead()
    this.#throwAside()
    if (this.#aside === null && this.#isSnapshotDue()) this.#beginAside()
  }

  async #find(): Promise<void> {
    const { store, node, config, clock } = this.#options
    // All that this node still has may be needed, while it is not known how far the target is.
    if (this.heldAfter === null) {
      const { compactedIndex } = await node.status()
      this.heldAfter = compactedIndex
      await this.#options.held()
    }
    const found = await findPosition(store, node.shipping, config.takeOver)
    this.#ownerCheckedMs = clock.nowMs()
    if (found.position === null) await this.#beginGeneration(found.owner, found.reason)
    else {
      await this.#moveTo(found.position)
      // All else goes with its time. These stay, and would need their first key for ever.
      const documents = [manifestName(found.position.generation), OWNER]
      if (node.isLeader) for (const name of documents) await store.reseal(name)
    }
    this.#snapshotTriedMs = clock.nowMs()
  }

  async #moveTo(position: Position): Promise<void> {
    this.#position = position
    this.known = position
    this.heldAfter = position.last
    await this.#options.held()
  }

  /** Takes a first snapshot, and says what it is the beginning of; the owner's word comes last. */
  async #beginGeneration(owner: Owner | null, reason: string): Promise<void> {
    const { store, node, config, clock, tell } = this.#options
    const beganMs = clock.nowMs()
    const random = randomBytes(4).toString('hex')
    const generation = nameGeneration(beganMs, random, owner?.generation ?? null)
    const { clusterId, fingerprint } = node.shipping
    const mine: Owner = {
      clusterId,
      generation,
      sinceMs: beganMs,
      formerIds: formerOf(owner, clusterId),
    }
    // Where somebody else was first, that is seen before it is theirs no more.
    if (owner === null && !(await store.claimDocument(OWNER, mine))) {
      await checkOwner(store, node.shipping, config.takeOver)
    }
    const { index, takenMs } = await this.#putSnapshot(generation)
    const manifest: Manifest = {
      generation,
      clusterId,
      fingerprint,
      firstIndex: index,
      beganMs,
      reason,
    }
    await store.putDocument(manifestName(generation), manifest)
    const digest = digestAtBegin(generation)
    this.#position = { generation, last: index, digest, snapshots: [{ index, takenMs }] }
    await this.#writeHead()
    await checkOwner(store, node.shipping, config.takeOver)
    // Whoever leads by now begins one too, and that one is to be the newest.
    if (!node.isLeader) {
      throw new ColmenaError('ERR_NO_LEADER', 'this node leads no more', { retryable: true })
    }
    await store.putDocument(OWNER, mine)
    await this.#moveTo(this.#position)
    tell('generation', { target: store.label, generation, reason })
    tell('snapshot', { target: store.label, index })
  }

  async #ship(): Promise<void> {
    for (;;) {
      const position = this.#position as Position
      const nowMs = this.#options.clock.nowMs()
      const read = await this.#read(position.last)
      if (read.chunks.length > 0) await this.#put(position, read)
      this.lagEntries = 0
      if (read.isAll) {
        this.caughtUpMs = nowMs
        return
      }
    }
  }

  /** @throws ColmenaError ERR_FELL_BEHIND where the node has less of the log than is needed */
  async #read(after: number): Promise<ReadLog> {
    const { node, signal, clock } = this.#options
    const chunks: Uint8Array[] = []
    const chunkMs: number[] = []
    let last = after
    let digests: Readonly<Record<string, string>> = {}
    for (let bytes = 0; bytes < SEGMENT_BYTES; ) {
      const chunk = await node.shipping.read(last, { bytesMax: CHUNK_BYTES, signal })
      if (chunk.last < chunk.first) return { chunks, chunkMs, last, digests, isAll: true }
      chunks.push(chunk.bytes)
      chunkMs.push(clock.nowMs())
      bytes += chunk.bytes.length
      this.lagEntries += chunk.last - last
      ;({ last, digests } = chunk)
    }
    return { chunks, chunkMs, last, digests, isAll: false }
  }

  async #put(position: Position, { chunks, chunkMs, last, digests }: ReadLog): Promise<void> {
    const { store, clock, tell } = this.#options
    const first = position.last + 1
    const before = position.digest
    const after = await rollSegment({ before, chunks })
    const segment: Segment = {
      first,
      last,
      before,
      after,
      digests,
      shippedMs: clock.nowMs(),
      chunks,
      chunkMs,
    }
    const name = segmentName(position.generation, first, last)
    this.shippedBytes += await store.putSegment(name, segment)
    // Snapshots that were taken meanwhile are in the position of now.
    const { snapshots } = this.#position ?? position
    await this.#moveTo({ ...position, last, digest: after, snapshots })
    this.#isHeadDue = true
    await this.#writeHead()
    tell('shipped', { target: store.label, first, last })
  }

  /** What is known of the target by now, one writing after the other. */
  async #writeHead(): Promise<void> {
    const { store, clock } = this.#options
    const write = async (): Promise<void> => {
      const position = this.#position
      if (position === null) return
      const { generation, last, digest, snapshots } = position
      const head: Head = { last, digest, shippedMs: clock.nowMs(), snapshots }
      await store.putDocument(headName(generation), head)
      this.#isHeadDue = this.#position !== position
    }
    const turn = this.#headTurn.then(write)
    this.#headTurn = turn.catch(() => {})
    await turn
  }

  #isSnapshotDue(): boolean {
    const { clock, config } = this.#options
    const newest = this.#position?.snapshots.at(-1)
    // Nothing was written since: the last one is as good.
    if (newest?.index === this.#position?.last) return false
    const { snapshotIntervalMs: intervalMs } = config
    const nowMs = clock.nowMs()
    const isDue = isOver(intervalMs, newest?.takenMs ?? 0, nowMs)
    return isDue && isOver(intervalMs / 2, this.#snapshotTriedMs, nowMs)
  }

  /** Takes a snapshot, then tidies up, while entries go on being shipped. */
  #beginAside(): void {
    this.#snapshotTriedMs = this.#options.clock.nowMs()
    const work = async (): Promise<void> => {
      try {
        await this.#takeSnapshot()
        await this.#tidy()
      } catch (error) {
        this.#asideError = error
      } finally {
        this.#aside = null
      }
    }
    this.#aside = work()
  }

  #throwAside(): void {
    const error = this.#asideError
    this.#asideError = null
    if (error !== null) throw error
  }

  async #takeSnapshot(): Promise<void> {
    const { store, tell } = this.#options
    const { generation } = this.#position as Position
    const taken = await this.#putSnapshot(generation)
    this.#keepSnapshots(generation, (snapshots) => [...snapshots, taken])
    await this.#writeHead()
    tell('snapshot', { target: store.label, index: taken.index })
  }

  async #putSnapshot(generation: string): Promise<TakenSnapshot> {
    const { store, node, clock, config, alone, signal } = this.#options
    return alone(async () => {
      await using copy = await node.shipping.copy({ signal })
      const takenMs = clock.nowMs()
      await putSnapshot(store, generation, copy, { isCompressed: config.isCompressed, takenMs })
      return { index: copy.index, takenMs }
    })
  }

  async #tidy(): Promise<void> {
    const { store, config, clock } = this.#options
    const position = this.#position
    if (position === null) return
    const { generation, snapshots } = position
    const { keepMs, keepCount } = config
    const mergedUntil = this.#mergedUntil
    const nowMs = clock.nowMs()
    const tidying = { generation, snapshots, keepMs, keepCount, nowMs, mergedUntil }
    await tidyTarget(store, tidying, async (kept) => {
      this.#keepSnapshots(generation, () => kept)
      await this.#writeHead()
    })
    this.#mergedUntil = snapshots.at(-1)?.index ?? 0
  }

  /** Another position may have been found meanwhile, in another generation. */
  #keepSnapshots(
    generation: string,
    change: (snapshots: readonly TakenSnapshot[]) => readonly TakenSnapshot[],
  ): void {
    const position = this.#position
    if (position?.generation !== generation) return
    this.#position = { ...position, snapshots: change(position.snapshots) }
  }
}

function formerOf(owner: Owner | null, clusterId: string): readonly string[] {
  if (owner === null) return []
  const { formerIds, clusterId: last } = owner
  return last === clusterId ? formerIds : [...formerIds, last]
}

/** Also where it began later than now: the clock was set back, or another node's is ahead. */
function isOver(durationMs: number, beganMs: number, nowMs: number): boolean {
  return nowMs - beganMs >= durationMs || nowMs < beganMs
}

/** Whether a node's log no longer goes back to where a target stands. */
export function isBehind(error: unknown): boolean {
  return isColmenaError(error) && error.code === 'ERR_FELL_BEHIND'
}
