/** What the log must be after any number of operations, in the plainest way to say it. */
import { Buffer } from 'node:buffer'
import type { AppendBatch, Log, SnapshotMark } from '../../src/log/log.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'
import type { SeededRandom } from '../simulated/random.ts'

export type Operation =
  | { readonly kind: 'append'; readonly batch: AppendBatch }
  | { readonly kind: 'compact'; readonly index: number }

export interface LogState {
  readonly compacted: number
  readonly compactedTerm: number
  readonly entries: readonly Entry[]
  readonly hardState: HardState
  readonly snapshot: SnapshotMark | null
}

export const emptyState: LogState = {
  compacted: 0,
  compactedTerm: 0,
  entries: [],
  hardState: { term: 1, vote: 0, commit: 0 },
  snapshot: null,
}

export function lastOf(state: LogState): number {
  return state.compacted + state.entries.length
}

export function termOf(state: LogState, index: number): number {
  if (index === state.compacted) return state.compactedTerm
  return (state.entries[index - state.compacted - 1] as Entry).term
}

export function advance(state: LogState, operation: Operation): LogState {
  if (operation.kind === 'compact') {
    const { index } = operation
    if (index <= state.compacted) return state
    const entries = state.entries.slice(index - state.compacted)
    return { ...state, compacted: index, compactedTerm: termOf(state, index), entries }
  }
  const { entries, hardState, snapshot } = operation.batch
  let next = state
  if (snapshot !== null) {
    const { index, term } = snapshot
    const isKnown = index <= lastOf(state) && termOf(state, index) === term
    next = { ...next, snapshot }
    if (!isKnown) next = { ...next, compacted: index, compactedTerm: term, entries: [] }
  }
  if (hardState !== null) next = { ...next, hardState }
  const first = entries[0]
  if (first === undefined) return next
  const kept = next.entries.slice(0, first.index - next.compacted - 1)
  return { ...next, entries: [...kept, ...entries] }
}

/** True if the operation is durable once it is acknowledged. */
export function isPromised(operation: Operation): boolean {
  if (operation.kind === 'compact') return true
  const { entries, mustSync, snapshot } = operation.batch
  return mustSync || entries.length > 0 || snapshot !== null
}

export function describeState(state: LogState): string {
  const { entries, ...rest } = state
  return JSON.stringify({ ...rest, entries: entries.map(describeEntry) })
}

/** The same of a log, through its door; `settle` completes all its reads. */
export function describeLog(
  log: Log,
  hardState: HardState,
  snapshot: SnapshotMark | null,
  settle: () => void,
): string {
  const compacted = log.firstIndex - 1
  const entries: Entry[] = []
  for (let lo = log.firstIndex; lo <= log.lastIndex; ) {
    let found = log.entries(lo, log.lastIndex + 1, 3_000)
    if (found === 'unavailable') {
      log.load(lo, log.lastIndex + 1, 3_000, (error) => {
        if (error !== null) throw error
      })
      settle()
      found = log.entries(lo, log.lastIndex + 1, 3_000)
    }
    if (typeof found === 'string') throw new Error(`entry ${lo} is ${found}`)
    entries.push(...found)
    lo += found.length
  }
  for (const entry of entries) {
    if (log.term(entry.index) !== entry.term) throw new Error(`term of entry ${entry.index}`)
  }
  const compactedTerm = log.term(compacted) as number
  return describeState({ compacted, compactedTerm, entries, hardState, snapshot })
}

function describeEntry(entry: Entry): string {
  return `${entry.index}:${entry.term}:${entry.type}:${Buffer.from(entry.data).toString('base64')}`
}

/** A next operation that the rules of consensus allow, and log and model both take. */
export function drawOperation(random: SeededRandom, state: LogState): Operation {
  const draw = random.below(100)
  const last = lastOf(state)
  const { commit } = state.hardState
  if (draw < 8 && commit > state.compacted) {
    return { kind: 'compact', index: random.between(state.compacted + 1, commit) }
  }
  const batch = { entries: [], hardState: null, snapshot: null, mustSync: true }
  if (draw < 12) {
    const isKnown = random.chance(0.5) && last > state.compacted
    const index = isKnown ? random.between(state.compacted, last) : last + random.between(1, 5)
    const term = isKnown ? termOf(state, index) : state.hardState.term
    const hardState = { ...state.hardState, commit: Math.max(commit, index) }
    return { kind: 'append', batch: { ...batch, hardState, snapshot: drawMark(index, term) } }
  }
  if (draw < 22) {
    const hardState = { ...state.hardState, commit: random.between(commit, last) }
    return { kind: 'append', batch: { ...batch, hardState, mustSync: false } }
  }
  if (draw < 30 || (draw < 45 && last > commit)) {
    const term = state.hardState.term + 1
    const hardState = { term, vote: random.between(1, 3), commit }
    const from = draw < 30 ? last + 1 : random.between(commit + 1, last)
    const entries = draw < 30 ? [] : drawEntries(random, from, term)
    return { kind: 'append', batch: { ...batch, hardState, entries } }
  }
  const entries = drawEntries(random, last + 1, state.hardState.term)
  return { kind: 'append', batch: { ...batch, entries } }
}

function drawEntries(random: SeededRandom, from: number, term: number): Entry[] {
  return Array.from({ length: random.between(1, 4) }, (_, i) => ({
    index: from + i,
    term,
    type: random.pick(['normal', 'normal', 'confChange', 'confChangeV2'] as const),
    data: random.bytes(random.pick([0, 3, 8, 60, 400, 1_200])),
  }))
}

function drawMark(index: number, term: number): SnapshotMark {
  const confState = {
    voters: [1, 2, 3],
    learners: [4],
    votersOutgoing: index % 2 === 0 ? [] : [1, 2],
    learnersNext: [],
    autoLeave: index % 2 === 1,
  }
  return { index, term, generation: index + 1, confState }
}
