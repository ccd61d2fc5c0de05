import type { Chart } from './chart.ts'
import type { Cluster } from './cluster.ts'
import type { LogRows } from './log-rows.ts'
import type { Member } from './member.ts'
import { LOOKED_UP_IDS, type WriteFate, type WriteOrder } from './node-messages.ts'
import type { WriteRow } from './protocol.ts'
import { Tally } from './tally.ts'

const LOOKED_UP_LATER = 'It is looked up as soon as that can be known.'

interface OpenWrite {
  readonly member: Member
  /** By this process's clock: those of other machines say something else. */
  readonly sentMs: number
  /** Its row in the log; null if it has none. */
  readonly key: number | null
}

/** A row whose write is acknowledged, and not applied by all yet. */
interface Spreading {
  readonly key: number
  readonly index: number
  readonly sentMs: number
}

export interface WritesParts {
  readonly cluster: Cluster
  readonly rows: LogRows
  readonly chart: Chart
  /** The first id that no node has. */
  readonly firstId: number
}

/** The demo's writes: each has an id of its own, and what became of it is found out in the end. */
export class Writes {
  readonly #parts: WritesParts
  readonly #open = new Map<number, OpenWrite>()
  readonly #unknown = new Map<number, OpenWrite>()
  readonly #settling = new Set<Member>()
  #spreading: Spreading[] = []
  #nextId: number
  tally: Tally

  constructor(parts: WritesParts) {
    this.#parts = parts
    this.#nextId = parts.firstId
    this.tally = this.#beginTally()
  }

  /** Sends texts to a node, each as a write of its own; the first `shown` of them get a row. */
  send(member: Member, texts: readonly string[], shown: number): void {
    const [now, sentMs] = [Date.now(), performance.now()]
    const orders = texts.map((text, at): WriteOrder => {
      const id = this.#nextId
      this.#nextId += 1
      const key = at < shown ? this.#parts.rows.add(now, newRow(member, text)) : null
      this.tally.asked(id, now)
      this.#open.set(id, { member, sentMs, key })
      return [id, text]
    })
    member.write(orders)
  }

  fates(fates: readonly WriteFate[]): void {
    const now = Date.now()
    for (const fate of fates) {
      const write = this.#open.get(fate.id)
      // Begun anew meanwhile.
      if (write === undefined) continue
      this.#open.delete(fate.id)
      if (fate.outcome === 'acknowledged' && fate.index !== null) {
        this.#acknowledged(write, fate, fate.index, now)
      } else if (fate.outcome === 'not-applied') {
        this.tally.refused(fate.id, now)
        this.#change(write, { outcome: 'not-applied', error: fate.error })
      } else {
        this.#lost(fate.id, write, `${fate.error} ${LOOKED_UP_LATER}`, now)
      }
    }
  }

  /** Its process is gone: what it was asked for is neither acknowledged nor refused. */
  exited(member: Member): void {
    const now = Date.now()
    for (const [id, write] of this.#open) {
      if (write.member !== member) continue
      this.#open.delete(id)
      this.#lost(id, write, `${member.id} ended before it answered. ${LOOKED_UP_LATER}`, now)
    }
  }

  /** Some node has applied more. One that is away has still to: its rows wait for it. */
  spread(): void {
    const { cluster, rows } = this.#parts
    this.#spreading = this.#spreading.filter(({ key, index, sentMs }) => {
      const row = rows.write(key)
      if (row === null) return false
      const { members } = cluster
      if (members.some(({ appliedIndex }) => appliedIndex < index)) return true
      const nowMs = performance.now()
      const lastMs = Math.max(...members.map((member) => member.appliedAt(index) ?? nowMs))
      rows.change(key, { everywhereMs: Math.max(lastMs - sentMs, row.appliedMs ?? 0) })
      return false
    })
  }

  /** Finds out what became of writes whose node could not say it. */
  settle(): void {
    const members = new Set([...this.#unknown.values()].map(({ member }) => member))
    for (const member of members) {
      if (!this.#parts.cluster.whole.includes(member) || this.#settling.has(member)) continue
      void this.#settleOn(member)
    }
  }

  /** Everything from before counts no more. */
  reset(): void {
    this.#open.clear()
    this.#unknown.clear()
    this.#spreading = []
    this.tally = this.#beginTally()
  }

  /** A tally has whole chunks: what was before may be removed as whole ones too. */
  #beginTally(): Tally {
    this.#nextId = Math.ceil(this.#nextId / LOOKED_UP_IDS) * LOOKED_UP_IDS
    return new Tally(this.#nextId, this.#parts.cluster.members.length)
  }

  #acknowledged(write: OpenWrite, fate: WriteFate, index: number, now: number): void {
    const { term, committedMs, appliedMs, error } = fate
    this.tally.acknowledged(fate.id, index, now)
    this.#parts.chart.acknowledged(appliedMs)
    if (write.key === null) return
    const appliedBy = term === null ? null : this.#parts.cluster.elections.leaderOf(term)
    const times = { committedMs, appliedMs }
    this.#change(write, { outcome: 'acknowledged', index, term, appliedBy, error, ...times })
    this.#spreading.push({ key: write.key, index, sentMs: write.sentMs })
    this.spread()
  }

  #lost(id: number, write: OpenWrite, error: string, now: number): void {
    this.tally.left(now)
    this.#unknown.set(id, write)
    this.#change(write, { outcome: 'unknown', error })
  }

  async #settleOn(member: Member): Promise<void> {
    const tally = this.tally
    const writes = [...this.#unknown].filter(([, write]) => write.member === member)
    this.#settling.add(member)
    try {
      const index = await member.running?.call('barrier')
      if (index === undefined) return
      const chunks = Map.groupBy(writes, ([id]) => Math.floor(id / LOOKED_UP_IDS))
      for (const [chunk, some] of chunks) {
        const from = chunk * LOOKED_UP_IDS
        const found = await member.running?.call('lookUp', from)
        if (found === undefined || found.appliedIndex < index || tally !== this.tally) return
        for (const [id, write] of some) this.#settled(id, write, index, found.counts[id - from])
      }
    } catch {
      // There is no leader, or the node was killed again: it is asked another time.
    } finally {
      this.#settling.delete(member)
    }
  }

  #settled(id: number, write: OpenWrite, index: number, count: number | undefined): void {
    const isThere = count !== undefined && count > 0
    this.#unknown.delete(id)
    this.tally.settled(id, index, isThere)
    this.#change(
      write,
      isThere
        ? { outcome: 'acknowledged', error: 'Its node could not answer any more: it was found.' }
        : { outcome: 'not-applied', error: 'Its node could not answer any more: it is not there.' },
    )
  }

  #change({ key }: OpenWrite, change: Partial<WriteRow>): void {
    if (key !== null) this.#parts.rows.change(key, change)
  }
}

function newRow({ id }: Member, text: string): Omit<WriteRow, 'key' | 'at'> {
  return {
    kind: 'write',
    text,
    receivedBy: id,
    appliedBy: null,
    index: null,
    term: null,
    committedMs: null,
    appliedMs: null,
    everywhereMs: null,
    outcome: 'pending',
    error: null,
  }
}
