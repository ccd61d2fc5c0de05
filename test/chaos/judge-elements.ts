/**
 * What must be true of elements that are added and read all together. Together the rules are
 * linearizability: each read at level `strong` is a beginning of one order of all adds, which is in
 * accord with the times of all calls. Reads of other levels may be old, and no more than that.
 */
import type { Consistency } from '../../src/index.ts'
import type { Fate } from './record.ts'
import type { Verdict } from './verdict.ts'

export interface Add {
  /** All of them are there, or none. */
  readonly ids: readonly number[]
  readonly callMs: number
  /** When it was acknowledged; `Infinity` where it was not. */
  readonly returnMs: number
  readonly fate: Fate
}

export interface Read {
  /** In the order in which they were added. */
  readonly ids: readonly number[]
  readonly level: Consistency
  readonly at: number
  readonly callMs: number
  readonly returnMs: number
}

export function judgeElements(
  what: string,
  adds: readonly Add[],
  reads: readonly Read[],
  verdict: Verdict,
): void {
  const byId = new Map(adds.flatMap((add) => add.ids.map((id) => [id, add] as const)))
  for (const read of reads) judgeRead(what, byId, read, verdict)
  judgeOrder(what, byId, reads, verdict)
  const strong = reads.filter(({ level }) => level === 'strong')
  for (const read of strong) {
    for (const { ids, returnMs } of adds) {
      if (returnMs >= read.callMs || read.ids.includes(ids[0] as number)) continue
      const told = `told to be there at ${returnMs.toFixed(1)}`
      verdict.add('stale', `${what}: ${describe(read)} lacks ${ids}, ${told}`)
      break
    }
  }
  judgeProgress(what, strong, verdict)
}

/** Whatever the level: nothing twice, in parts, refused, or from the future. */
function judgeRead(
  what: string,
  byId: ReadonlyMap<number, Add>,
  read: Read,
  verdict: Verdict,
): void {
  const present = new Set(read.ids)
  if (present.size < read.ids.length) {
    const twice = read.ids.filter((id, at) => read.ids.indexOf(id) < at)
    verdict.add('duplicated', `${what}: ${describe(read)} has ${twice} more than once`)
  }
  for (const id of present) {
    const add = byId.get(id)
    if (add === undefined) {
      verdict.add('broken', `${what}: ${describe(read)} has ${id}, which nobody added`)
      continue
    }
    if (add.fate === 'not-applied') {
      verdict.add('broken', `${what}: ${describe(read)} has ${id}, which was refused`)
    }
    if (add.callMs > read.returnMs) {
      verdict.add('broken', `${what}: ${describe(read)} has ${id}, added later`)
    }
    if (!add.ids.every((other) => present.has(other))) {
      verdict.add('broken', `${what}: ${describe(read)} has ${id} without all of ${add.ids}`)
    }
  }
}

/** There is one order, of which every read has a beginning, and times are in accord with it. */
function judgeOrder(
  what: string,
  byId: ReadonlyMap<number, Add>,
  reads: readonly Read[],
  verdict: Verdict,
): void {
  let order: readonly number[] = []
  for (const { ids } of reads) if (ids.length > order.length) order = ids
  for (const read of reads) {
    if (read.ids.every((id, at) => id === order[at])) continue
    verdict.add('broken', `${what}: ${describe(read)} has another order: ${read.ids} and ${order}`)
  }
  let calledMs = Number.NEGATIVE_INFINITY
  for (const id of order) {
    const add = byId.get(id)
    if (add === undefined) continue
    if (add.returnMs < calledMs) {
      verdict.add('broken', `${what}: ${id} was there before what comes ahead of it was added`)
    }
    calledMs = Math.max(calledMs, add.callMs)
  }
}

/** What a strong read has seen, every strong read after it sees as well. */
function judgeProgress(what: string, strong: readonly Read[], verdict: Verdict): void {
  const called = [...strong].sort((a, b) => a.callMs - b.callMs)
  const returned = [...strong].sort((a, b) => a.returnMs - b.returnMs)
  let before = 0
  let most: Read | null = null
  for (const read of called) {
    for (; (returned[before]?.returnMs ?? Number.POSITIVE_INFINITY) < read.callMs; before += 1) {
      const other = returned[before] as Read
      if (most === null || other.ids.length > most.ids.length) most = other
    }
    if (most === null || most.ids.length <= read.ids.length) continue
    verdict.add('stale', `${what}: ${describe(read)} has less than ${describe(most)} before it`)
  }
}

function describe({ level, at, callMs, returnMs, ids }: Read): string {
  const times = `${callMs.toFixed(1)}–${returnMs.toFixed(1)}`
  return `the read ${level} of node ${at + 1} at ${times}, of ${ids.length},`
}
