/** What the records so far amount to, without the entries: the writer and recovery agree by it. */
import { assert } from '../base/assert.ts'
import type { HardState } from '../raft/types.ts'
import { type Base, decodeBase, decodeHardState, decodeMark, encodeBase } from './body.ts'
import type { SnapshotMark } from './options.ts'
import { type LogRecord, makeRecord } from './record.ts'

export class Stream {
  last = 0
  lastTerm = 0
  compacted = 0
  compactedTerm = 0
  hardState: HardState = { term: 0, vote: 0, commit: 0 }
  snapshot: SnapshotMark | null = null
  #sealChain = 0

  /** The record that a segment begins with at this point. */
  makeBegin(): LogRecord {
    const body = encodeBase({
      sealChain: this.#sealChain,
      compacted: this.compacted,
      compactedTerm: this.compactedTerm,
      hardState: this.hardState,
      snapshot: this.snapshot,
    })
    const record = makeRecord('begin', this.last + 1, this.lastTerm, body)
    record.endsBatch = true
    return record
  }

  makeSeal(): LogRecord {
    const record = makeRecord('seal', this.last, this.lastTerm)
    record.endsBatch = true
    return record
  }

  /** Takes over a base as it stands; for the first segment there is. */
  adopt(record: LogRecord): void {
    const base: Base = decodeBase(record.body)
    this.last = record.index - 1
    this.lastTerm = record.term
    this.compacted = base.compacted
    this.compactedTerm = base.compactedTerm
    this.hardState = base.hardState
    this.snapshot = base.snapshot
    this.#sealChain = base.sealChain
  }

  /** Every segment was sealed by the record that the next one's begin names. */
  seal(chain: number): void {
    this.#sealChain = chain
  }

  apply(record: LogRecord): void {
    const { index, term } = record
    switch (record.type) {
      case 'begin':
        assert(decodeBase(record.body).sealChain === this.#sealChain, 'segments follow each other')
        assert(index === this.last + 1, `a segment begins at ${index} after ${this.last}`)
        break
      case 'entry':
        assert(index === this.last + 1, `entry ${index} follows entry ${this.last}`)
        this.last = index
        this.lastTerm = term
        break
      case 'truncateTo':
        assert(index >= this.compacted, `a truncation to ${index} is not below the compacted log`)
        this.last = index
        this.lastTerm = term
        break
      case 'compactTo':
        assert(index <= this.last && index >= this.compacted, `compaction to ${index} is in order`)
        this.compacted = index
        this.compactedTerm = term
        break
      case 'hardState':
        this.hardState = decodeHardState(record.body)
        break
      case 'snapshotMark':
        this.snapshot = decodeMark(index, term, record.body)
        if (record.resets) this.#reset(index, term)
        break
      case 'seal':
        assert(index === this.last, `the seal at ${index} is the end ${this.last}`)
        break
    }
  }

  #reset(index: number, term: number): void {
    this.last = index
    this.lastTerm = term
    this.compacted = index
    this.compactedTerm = term
  }
}
