import { type Found, LOOKED_UP_IDS } from './node-messages.ts'
import type { Tally as TallyFigures } from './protocol.ts'

/** Older writes are removed from the table, and from here, in the order of their ids. */
const CHUNKS_MAX = 200
/** Beyond it also those go that a node has still to show: it is away for long. */
const CHUNKS_HARD_MAX = 500
/** Looked up on a node at a time, beside one old chunk. */
const FRESH_CHUNKS_MAX = 8

type State = 'none' | 'open' | 'acknowledged'
const STATES: readonly State[] = ['none', 'open', 'acknowledged']

/** The writes of neighbouring ids, and what the nodes' files have shown of them. */
interface Chunk {
  readonly from: number
  readonly states: Uint8Array
  /** Of an acknowledged write: a node that has applied so much must have it. */
  readonly indexes: Float64Array
  /** A bit for each node. */
  readonly found: Uint8Array
  readonly lost: Uint8Array
  readonly duplicated: Uint8Array
  openCount: number
  acknowledgedCount: number
  /** By node: those of the acknowledged that it has shown, or that are known to be lost there. */
  readonly decidedCounts: Uint16Array
}

/**
 * Every write that was acknowledged, held against the files of the nodes: found, lost or there more
 * than once. What was found is looked up again and again, for a row can also vanish later.
 *
 * Its memory is bounded: the oldest chunks are given up as whole ones, and only then are their rows
 * removed from the table.
 */
export class Tally {
  readonly #nodeCount: number
  readonly #chunks = new Map<number, Chunk>()
  /** Where each node's sweep through what was found is. */
  readonly #sweeps: number[]
  readonly #firstId: number
  #acknowledged = 0
  #everywhere = 0
  #lost = 0
  #duplicated = 0
  #openCount = 0
  #openSince = 0
  #acknowledgedAt = 0
  #longestPauseMs = 0

  /** Ids begin at `firstId`; below it nobody looks. */
  constructor(firstId: number, nodeCount: number) {
    this.#firstId = firstId
    this.#nodeCount = nodeCount
    this.#sweeps = new Array<number>(nodeCount).fill(0)
  }

  /** Rows of ids below it are of no interest any more. */
  get keptFrom(): number {
    const [oldest] = this.#chunks.values()
    return Math.max(this.#firstId, oldest?.from ?? 0)
  }

  get openCount(): number {
    return this.#openCount
  }

  figures(now: number): TallyFigures {
    return {
      acknowledged: this.#acknowledged,
      everywhere: this.#everywhere,
      lost: this.#lost,
      duplicated: this.#duplicated,
      longestPauseMs: Math.round(Math.max(this.#longestPauseMs, this.#pauseMs(now))),
    }
  }

  /** A write is on its way. */
  asked(id: number, now: number): void {
    const chunk = this.#chunkOf(id) ?? this.#addChunk(id)
    chunk.states[id - chunk.from] = STATES.indexOf('open')
    chunk.openCount += 1
    if (this.#openCount === 0) this.#openSince = now
    this.#openCount += 1
  }

  /** Nobody waits for it at present: its node died, and what became of it is found out later. */
  left(now: number): void {
    this.#endPause(now)
    this.#openCount -= 1
  }

  /** It is promised: every node that has applied `index` must have it. */
  acknowledged(id: number, index: number, now: number): void {
    this.#endPause(now)
    this.#acknowledgedAt = now
    this.#openCount -= 1
    this.#promise(id, index)
  }

  /** It was not applied and never will be. */
  refused(id: number, now: number): void {
    this.left(now)
    this.#close(id)
  }

  /** What was unknown is decided, and is or is not in the file of a node. */
  settled(id: number, index: number, isThere: boolean): void {
    if (isThere) this.#promise(id, index)
    else this.#close(id)
  }

  /** What had better be looked up on a node now: chunks by their first id. */
  wanted(node: number): readonly number[] {
    const wanted: number[] = []
    for (const chunk of this.#chunks.values()) {
      if (wanted.length === FRESH_CHUNKS_MAX) break
      if ((chunk.decidedCounts[node] as number) < chunk.acknowledgedCount) wanted.push(chunk.from)
    }
    const swept = this.#sweep(node)
    if (swept !== null && !wanted.includes(swept)) wanted.push(swept)
    return wanted
  }

  /** What a node's file has of a chunk. */
  looked(node: number, from: number, { appliedIndex, counts }: Found): void {
    const chunk = this.#chunkOf(from)
    if (chunk === null) return
    for (let at = 0; at < LOOKED_UP_IDS; at += 1) {
      if (STATES[chunk.states[at] as number] !== 'acknowledged') continue
      const count = counts[at] as number
      if (count > 0) this.#found(chunk, at, node)
      else if ((chunk.indexes[at] as number) <= appliedIndex) this.#missed(chunk, at, node)
      if (count > 1) this.#foundTwice(chunk, at, node)
    }
  }

  /** Gives up the oldest chunks beyond the bound: their figures stay. */
  shrink(): void {
    for (const [key, chunk] of this.#chunks) {
      if (this.#chunks.size <= CHUNKS_MAX) return
      const isDone = chunk.openCount === 0 && this.#isDecided(chunk)
      if (!isDone && this.#chunks.size <= CHUNKS_HARD_MAX) return
      this.#chunks.delete(key)
    }
  }

  #isDecided({ decidedCounts, acknowledgedCount }: Chunk): boolean {
    return decidedCounts.every((count) => count >= acknowledgedCount)
  }

  #pauseMs(now: number): number {
    return this.#openCount === 0 ? 0 : now - Math.max(this.#acknowledgedAt, this.#openSince)
  }

  #endPause(now: number): void {
    this.#longestPauseMs = Math.max(this.#longestPauseMs, this.#pauseMs(now))
  }

  #promise(id: number, index: number): void {
    const chunk = this.#chunkOf(id)
    if (chunk === null) return
    const at = id - chunk.from
    this.#close(id)
    chunk.states[at] = STATES.indexOf('acknowledged')
    chunk.indexes[at] = index
    chunk.acknowledgedCount += 1
    this.#acknowledged += 1
  }

  #close(id: number): void {
    const chunk = this.#chunkOf(id)
    if (chunk === null) return
    chunk.states[id - chunk.from] = STATES.indexOf('none')
    chunk.openCount -= 1
  }

  #found(chunk: Chunk, at: number, node: number): void {
    const bit = 1 << node
    const before = chunk.found[at] as number
    if ((before & bit) !== 0) return
    if (((chunk.lost[at] as number) & bit) === 0) addOne(chunk.decidedCounts, node)
    chunk.found[at] = before | bit
    if (chunk.found[at] === this.#allNodes) this.#everywhere += 1
  }

  /** What was lost once counts for ever, also if it is there again. */
  #missed(chunk: Chunk, at: number, node: number): void {
    const bit = 1 << node
    const [found, lost] = [chunk.found[at] as number, chunk.lost[at] as number]
    if (found === this.#allNodes) this.#everywhere -= 1
    chunk.found[at] = found & ~bit
    if ((lost & bit) !== 0) return
    if ((found & bit) === 0) addOne(chunk.decidedCounts, node)
    if (lost === 0) this.#lost += 1
    chunk.lost[at] = lost | bit
  }

  #foundTwice(chunk: Chunk, at: number, node: number): void {
    const before = chunk.duplicated[at] as number
    if (before === 0) this.#duplicated += 1
    chunk.duplicated[at] = before | (1 << node)
  }

  get #allNodes(): number {
    return (1 << this.#nodeCount) - 1
  }

  /** The chunk after the one that was swept last; null while there is none. */
  #sweep(node: number): number | null {
    const last = this.#sweeps[node] as number
    const keys = [...this.#chunks.keys()]
    const next = keys.find((key) => key > last) ?? keys[0]
    if (next === undefined) return null
    this.#sweeps[node] = next
    return next * LOOKED_UP_IDS
  }

  #chunkOf(id: number): Chunk | null {
    return this.#chunks.get(Math.floor(id / LOOKED_UP_IDS)) ?? null
  }

  #addChunk(id: number): Chunk {
    const key = Math.floor(id / LOOKED_UP_IDS)
    const chunk: Chunk = {
      from: key * LOOKED_UP_IDS,
      states: new Uint8Array(LOOKED_UP_IDS),
      indexes: new Float64Array(LOOKED_UP_IDS),
      found: new Uint8Array(LOOKED_UP_IDS),
      lost: new Uint8Array(LOOKED_UP_IDS),
      duplicated: new Uint8Array(LOOKED_UP_IDS),
      openCount: 0,
      acknowledgedCount: 0,
      decidedCounts: new Uint16Array(this.#nodeCount),
    }
    this.#chunks.set(key, chunk)
    return chunk
  }
}

function addOne(counts: Uint16Array, at: number): void {
  counts[at] = (counts[at] as number) + 1
}
