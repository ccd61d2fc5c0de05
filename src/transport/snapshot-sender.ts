import fs from 'node:fs'
import path from 'node:path'
import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Cancel } from '../base/ports.ts'
import type { MemberId } from '../raft/types.ts'
import type { Channel } from './channel.ts'
import type { TransportContext } from './config.ts'
import type { Dialer } from './dialer.ts'
import type { SnapshotManifest } from './port.ts'
import {
  CHUNK_HEADER_BYTES,
  decodeFailure,
  decodeHave,
  encodeChunk,
  encodeManifest,
} from './snapshot-wire.ts'
import { StallWatch } from './stall-watch.ts'
import { WIRE_KIND } from './wire-kind.ts'

const CHUNK_BYTES_MAX = 256 * 1024
/** Beyond it the sender waits for the socket, so one stream holds about this much memory. */
const QUEUE_BYTES_MAX = 1024 * 1024

export interface SnapshotTarget {
  readonly id: MemberId
  readonly address: string
}

/** Sends one snapshot once. `done` is called when its socket and files are closed. */
export class SnapshotSender {
  readonly #context: TransportContext
  readonly #manifest: SnapshotManifest
  readonly #directory: string
  readonly #done: (error: ColmenaError | null) => void
  readonly #chunkBytes: number
  readonly #watch: StallWatch
  readonly #cancelDial: Cancel
  #channel: Channel | null = null
  #haveBytes: readonly number[] | null = null
  #file = 0
  #offsetBytes = 0
  #descriptor: number | null = null
  #isReading = false
  #isWaitingForSocket = false
  #cancelRest: Cancel = () => {}
  #isReleased = false
  #result: { readonly error: ColmenaError | null } | null = null

  constructor(
    context: TransportContext,
    dialer: Dialer,
    target: SnapshotTarget,
    manifest: SnapshotManifest,
    directory: string,
    done: (error: ColmenaError | null) => void,
  ) {
    const { clock, frameBytesMax, snapshotStallMs } = context.config
    const offer = encodeManifest(manifest)
    this.#context = context
    this.#manifest = manifest
    this.#directory = directory
    this.#done = done
    this.#chunkBytes = Math.min(CHUNK_BYTES_MAX, frameBytesMax - CHUNK_HEADER_BYTES)
    this.#watch = new StallWatch(clock, snapshotStallMs, () => {
      this.#finish(lostError(`the snapshot stream did not move for ${snapshotStallMs} ms`))
    })
    context.resources.add(this)
    const { id, address } = target
    const dialTarget = { address, expects: id, purpose: 'snapshot' } as const
    this.#cancelDial = dialer.dial(dialTarget, (error, channel) => {
      if (channel === null) this.#finish(error)
      else this.#connected(channel, offer)
    })
  }

  /** Stops with `ERR_ABORTED`. */
  destroy(): void {
    this.#finish(new ColmenaError('ERR_ABORTED', 'the snapshot stream was cancelled'))
  }

  /** Stops with an error after which the same call resumes. */
  interrupt(): void {
    this.#finish(lostError('the snapshot stream was interrupted'))
  }

  #connected(channel: Channel, offer: Uint8Array): void {
    const { frameBytesMax } = this.#context.config
    this.#channel = channel
    this.#watch.touch()
    channel.admit(
      { frameBytesMax, queueBytesMax: 2 * frameBytesMax + 2 * QUEUE_BYTES_MAX },
      {
        frame: (kind, body) => this.#receive(kind, body),
        drained: () => this.#drained(),
        closed: (_end, fault) => {
          const reason = fault?.message ?? 'the connection was lost'
          this.#finish(lostError(`the snapshot stream broke: ${reason}`))
        },
      },
    )
    if (channel.send(WIRE_KIND.snapshotOffer, [offer])) return
    this.#finish(new ColmenaError('ERR_TOO_LARGE', 'the snapshot manifest is beyond one frame'))
  }

  #receive(kind: number, body: Uint8Array): void {
    this.#watch.touch()
    try {
      if (kind === WIRE_KIND.snapshotHave && this.#haveBytes === null) {
        this.#haveBytes = decodeHave(body, this.#manifest.files)
        this.#startFile(0)
      } else if (kind === WIRE_KIND.snapshotDone) {
        this.#finish(null)
      } else if (kind === WIRE_KIND.snapshotFailed) {
        this.#finish(decodeFailure(body))
      } else if (kind !== WIRE_KIND.snapshotProgress) {
        throw new DecodeError(`a frame of kind ${kind} in a snapshot stream`)
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error
      this.#finish(lostError(error.message))
    }
  }

  #drained(): void {
    this.#watch.touch()
    if (!this.#isWaitingForSocket) return
    this.#isWaitingForSocket = false
    this.#readChunk()
  }

  #startFile(file: number): void {
    const next = this.#manifest.files[file]
    if (next === undefined) {
      this.#channel?.send(WIRE_KIND.snapshotEnd, [])
      return
    }
    this.#file = file
    this.#offsetBytes = this.#haveBytes?.[file] as number
    if (this.#offsetBytes === next.sizeBytes) {
      this.#startFile(file + 1)
      return
    }
    this.#isReading = true
    fs.open(path.join(this.#directory, next.name), 'r', (error, descriptor) => {
      this.#isReading = false
      if (error === null) this.#descriptor = descriptor
      if (this.#result !== null) this.#release()
      else if (error !== null) this.#finish(readError(next.name, error))
      else this.#readChunk()
    })
  }

  #readChunk(): void {
    if (this.#result !== null) return
    const channel = this.#channel as Channel
    if (channel.queuedBytes > QUEUE_BYTES_MAX) {
      this.#isWaitingForSocket = true
      return
    }
    const file = this.#manifest.files[this.#file] as SnapshotManifest['files'][number]
    const restBytes = file.sizeBytes - this.#offsetBytes
    if (restBytes === 0) {
      this.#closeFile(() => this.#startFile(this.#file + 1))
      return
    }
    const buffer = Buffer.allocUnsafeSlow(Math.min(this.#chunkBytes, restBytes))
    this.#isReading = true
    const descriptor = this.#descriptor as number
    fs.read(descriptor, buffer, 0, buffer.length, this.#offsetBytes, (error, count) => {
      this.#isReading = false
      if (this.#result !== null) this.#release()
      else if (error !== null) this.#finish(readError(file.name, error))
      else if (count === 0) {
        const message = `${file.name} ends at ${this.#offsetBytes} of ${file.sizeBytes} bytes`
        this.#finish(new ColmenaError('ERR_FAILED', message))
      } else {
        this.#sendChunk(channel, buffer.subarray(0, count))
      }
    })
  }

  #sendChunk(channel: Channel, data: Uint8Array): void {
    const parts = encodeChunk({ file: this.#file, offsetBytes: this.#offsetBytes, data })
    this.#offsetBytes += data.length
    // A channel that is closing refuses: its end is reported in a moment.
    if (!channel.send(WIRE_KIND.snapshotChunk, parts)) return
    const { config, snapshotPace } = this.#context
    const restMs = snapshotPace.spend(data.length)
    if (restMs === 0) this.#readChunk()
    else this.#cancelRest = config.clock.setTimer(restMs, () => this.#readChunk())
  }

  #closeFile(next: () => void): void {
    const descriptor = this.#descriptor as number
    this.#descriptor = null
    this.#isReading = true
    fs.close(descriptor, () => {
      this.#isReading = false
      if (this.#result === null) next()
      else this.#release()
    })
  }

  #finish(error: ColmenaError | null): void {
    if (this.#result !== null) return
    this.#result = { error }
    this.#watch.stop()
    this.#cancelDial()
    this.#cancelRest()
    this.#channel?.destroy()
    // Also after a failure that is found within the caller's own call, `done` comes later.
    process.nextTick(() => this.#release())
  }

  /** Runs when nothing reads any more; the file is closed before anyone hears of the end. */
  #release(): void {
    if (this.#isReading || this.#isReleased) return
    if (this.#descriptor !== null) {
      this.#closeFile(() => {})
      return
    }
    this.#isReleased = true
    this.#done(this.#result?.error ?? null)
    this.#context.resources.remove(this)
  }
}

function lostError(message: string): ColmenaError {
  return new ColmenaError('ERR_FAILED', message, { retryable: true })
}

function readError(name: string, cause: Error): ColmenaError {
  return new ColmenaError('ERR_FAILED', `cannot read ${name}: ${cause.message}`, { cause })
}
