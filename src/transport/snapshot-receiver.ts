import { DecodeError } from '../base/bytes.ts'
import { ColmenaError, isColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import { FrameError } from './frame.ts'
import type { SnapshotManifest } from './port.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import {
  type Chunk,
  decodeChunk,
  decodeManifest,
  encodeFailure,
  encodeHave,
} from './snapshot-wire.ts'
import { WIRE_KIND } from './wire-kind.ts'

/** Chunks that wait for the disk; past it the socket is not read, so the sender waits too. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** How often the sender is told that this side is still at work. */
const PROGRESS_MS = 1000

export interface ReceiverOwner {
  offered(
    manifest: SnapshotManifest,
    accept: (directory: string) => void,
    refuse: (reason: string) => void,
  ): void
  received(manifest: SnapshotManifest, error: ColmenaError | null): void
  warn(fault: Error): void
  /** Socket and files are closed. */
  released(): void
}

/** Receives one snapshot over one socket. */
export class SnapshotReceiver {
  readonly #context: TransportContext
  readonly #channel: Channel
  readonly #owner: ReceiverOwner
  #manifest: SnapshotManifest | null = null
  #files: SnapshotFiles | null = null
  #waiting: Chunk[] = []
  #waitingBytes = 0
  #isPaused = false
  /** A disk operation is going on: the end waits for it. */
  #isBusy = false
  /** The sender knows where to begin. */
  #isReady = false
  #hasAll = false
  #heardMs: number
  #cancelBeat: Cancel = () => {}
  #end: { readonly error: ColmenaError | null } | null = null

  constructor(context: TransportContext, channel: Channel, owner: ReceiverOwner) {
    const { clock, frameBytesMax } = context.config
    this.#context = context
    this.#channel = channel
    this.#owner = owner
    this.#heardMs = clock.nowMs()
    context.resources.add(this)
    channel.admit(
      { frameBytesMax, queueBytesMax: 2 * frameBytesMax },
      {
        frame: (kind, body) => this.#receive(kind, body),
        closed: (_end, fault) => {
          if (fault !== null) owner.warn(fault)
          this.#finish(lostError(`the snapshot stream broke: ${fault?.message ?? 'it was closed'}`))
        },
      },
    )
    this.#beat()
  }

  destroy(): void {
    this.#channel.destroy()
    this.#finish(lostError('the snapshot stream was closed'))
  }

  /** Shows the sender that this side works, and gives up a sender that does not. */
  #beat(): void {
    const { clock, snapshotStallMs } = this.#context.config
    const isWaitingForOwner = this.#manifest !== null && this.#files === null
    if (isWaitingForOwner || this.#isBusy) this.#channel.send(WIRE_KIND.snapshotProgress, [])
    else if (clock.nowMs() - this.#heardMs > snapshotStallMs) {
      this.#fail(lostError(`the snapshot's sender was silent for ${snapshotStallMs} ms`))
      return
    }
    const delayMs = Math.min(PROGRESS_MS, Math.ceil(snapshotStallMs / 3))
    this.#cancelBeat = clock.setTimer(delayMs, () => this.#beat())
  }

  #receive(kind: number, body: Uint8Array): void {
    if (this.#end !== null) return
    this.#heardMs = this.#context.config.clock.nowMs()
    try {
      if (kind === WIRE_KIND.snapshotOffer && this.#manifest === null) this.#offered(body)
      else if (kind === WIRE_KIND.snapshotChunk && this.#isReady) this.#queue(decodeChunk(body))
      else if (kind === WIRE_KIND.snapshotEnd && this.#isReady) {
        this.#hasAll = true
        this.#work()
      } else throw new DecodeError(`a frame of kind ${kind} in a snapshot stream`)
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#channel.fail(new FrameError(error.message))
    }
  }

  #offered(body: Uint8Array): void {
    const manifest = decodeManifest(body)
    this.#manifest = manifest
    const accept = (directory: string): void => this.#accepted(directory, manifest, body)
    const refuse = (reason: string): void => {
      if (this.#files !== null) return
      const message = `the snapshot was refused: ${reason}`
      this.#fail(new ColmenaError('ERR_FAILED', message, { retryable: true }))
    }
    this.#owner.offered(manifest, accept, refuse)
  }

  #accepted(directory: string, manifest: SnapshotManifest, offer: Uint8Array): void {
    if (this.#files !== null) return
    if (this.#end !== null) {
      // The sender left before the owner made up its mind: who accepted is told how it ended.
      this.#owner.received(manifest, this.#end.error)
      return
    }
    const files = new SnapshotFiles(directory, offer, manifest.files)
    this.#files = files
    this.#onDisk(
      (done) => files.prepare(done),
      () => {
        this.#isReady = true
        this.#heardMs = this.#context.config.clock.nowMs()
        this.#channel.send(WIRE_KIND.snapshotHave, [encodeHave(files.haveBytes)])
      },
    )
  }

  #queue(chunk: Chunk): void {
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.data.length
    if (this.#waitingBytes > WAITING_BYTES_MAX && !this.#isPaused) {
      this.#isPaused = true
      this.#channel.pause()
    }
    this.#work()
  }

  /** Writes the next chunk; after the last one checks everything. */
  #work(): void {
    if (this.#isBusy || this.#end !== null) return
    const files = this.#files as SnapshotFiles
    const chunk = this.#waiting.shift()
    if (chunk === undefined) {
      if (!this.#hasAll) return
      if (files.isComplete) this.#seal(files)
      else this.#channel.fail(new FrameError('a snapshot ended before its files did'))
      return
    }
    this.#waitingBytes -= chunk.data.length
    if (this.#isPaused && this.#waitingBytes < WAITING_BYTES_MAX / 4) {
      this.#isPaused = false
      this.#channel.resume()
    }
    const disorder = files.checkChunk(chunk)
    if (disorder !== null) this.#channel.fail(new FrameError(disorder))
    else {
      this.#onDisk(
        (done) => files.write(chunk, done),
        () => this.#work(),
      )
    }
  }

  #seal(files: SnapshotFiles): void {
    this.#onDisk(
      (done) => files.seal(() => this.#end === null, done),
      () => this.#finish(null),
    )
  }

  #onDisk(start: (done: (error: Error | null) => void) => void, next: () => void): void {
    this.#isBusy = true
    start((error) => {
      this.#isBusy = false
      if (this.#end !== null) this.#release(this.#end.error)
      else if (error === null) next()
      else this.#fail(toDiskError(error))
    })
  }

  #fail(error: ColmenaError): void {
    this.#channel.send(WIRE_KIND.snapshotFailed, [encodeFailure(error)])
    this.#channel.finish()
    this.#finish(error)
  }

  #finish(error: ColmenaError | null): void {
    if (this.#end !== null) return
    this.#end = { error }
    this.#waiting = []
    this.#cancelBeat()
    if (!this.#isBusy) this.#release(error)
  }

  #release(error: ColmenaError | null): void {
    const files = this.#files
    const manifest = this.#manifest
    const released = (): void => {
      if (files !== null && manifest !== null) this.#owner.received(manifest, error)
      if (error === null) {
        this.#channel.send(WIRE_KIND.snapshotDone, [])
        this.#channel.finish()
      }
      this.#owner.released()
      this.#context.resources.remove(this)
    }
    if (files === null) released()
    else files.release(released)
  }
}

function lostError(message: string): ColmenaError {
  return new ColmenaError('ERR_FAILED', message, { retryable: true })
}

function toDiskError(cause: Error): ColmenaError {
  if (isColmenaError(cause)) return cause
  const message = `cannot store the snapshot: ${cause.message}`
  return new ColmenaError('ERR_FAILED', message, { cause, retryable: true })
}
