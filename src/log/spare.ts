/** The next segment, made in the background while the active one fills. */
import { assert } from '../base/assert.ts'
import type { Done } from '../base/ports.ts'
import { type DiskFile, isOutOfSpace } from './disk.ts'
import { encodeHeader, HEADER_BYTES, nameSegment } from './format.ts'
import type { LogConfig } from './options.ts'
import { Cancelled, makeSegmentFile } from './segment-file.ts'
import { Segment } from './segments.ts'

export interface ReadySpare {
  readonly segment: Segment
  readonly file: DiskFile
}

export interface SpareEvents {
  readonly ready: () => void
  readonly full: () => void
  readonly failed: (error: Error) => void
}

export class Spare {
  readonly #config: LogConfig
  readonly #events: SpareEvents
  #state: 'none' | 'making' | 'ready' | 'full' | 'closed' = 'none'
  /** Stays true during another try, until that has succeeded. */
  #isFull = false
  #seq = 0
  #ready: ReadySpare | null = null
  #cancelled: Done | null = null

  constructor(config: LogConfig, events: SpareEvents) {
    this.#config = config
    this.#events = events
  }

  get isFull(): boolean {
    return this.#isFull
  }

  get sizeBytes(): number {
    return this.#ready?.segment.sizeBytes ?? 0
  }

  /** Begins to make segment `seq`. */
  make(seq: number): void {
    assert(this.#state === 'none', `a spare is made once, not while ${this.#state}`)
    this.#seq = seq
    this.#make()
  }

  /** Tries again after room ran out; does nothing otherwise. */
  retry(): void {
    if (this.#state === 'full') this.#make()
  }

  /** Hands over the next segment, or null if it is not there yet. */
  take(): ReadySpare | null {
    const ready = this.#ready
    if (ready === null) return null
    this.#ready = null
    this.#state = 'none'
    return ready
  }

  /** Stops; `done` once no file is in use any more. */
  close(done: Done): void {
    const ready = this.take()
    const wasMaking = this.#state === 'making'
    this.#state = 'closed'
    if (ready !== null) ready.file.close(done)
    else if (wasMaking) this.#cancelled = done
    else done(null)
  }

  #make(): void {
    const { clusterId, memberId, random, segmentBytes } = this.#config
    this.#state = 'making'
    const salt = random.u32()
    const seq = this.#seq
    const header = encodeHeader({ salt, clusterId, memberId, seq, durableUpTo: HEADER_BYTES })
    makeSegmentFile(
      this.#config,
      seq,
      header,
      () => this.#isClosed,
      (error) => {
        if (error !== null) return this.#finish(error, null)
        const path = `${this.#config.directory}/${nameSegment(seq)}`
        this.#config.disk.open(path, 'write', (openError, file) => {
          const segment = new Segment(seq, salt, segmentBytes, HEADER_BYTES)
          this.#finish(openError, { segment, file })
        })
      },
    )
  }

  #finish(error: Error | null, ready: ReadySpare | null): void {
    if (this.#cancelled !== null) {
      if (error === null && ready !== null) ready.file.close(this.#cancelled)
      else this.#cancelled(null)
    } else if (error === null) {
      this.#state = 'ready'
      this.#ready = ready
      this.#setFull(false)
      this.#events.ready()
    } else if (isOutOfSpace(error)) {
      this.#state = 'full'
      this.#setFull(true)
      this.#events.full()
    } else if (!(error instanceof Cancelled)) {
      this.#events.failed(error)
    }
  }

  #setFull(isFull: boolean): void {
    if (this.#isFull === isFull) return
    this.#isFull = isFull
    this.#config.spaceChanged(isFull)
  }

  get #isClosed(): boolean {
    return this.#state === 'closed'
  }
}
