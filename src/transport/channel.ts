import type { Socket } from 'node:net'
import { encodeFrameHeader, FRAME_HEADER_BYTES, FrameError, FrameReader } from './frame.ts'
import type { Traffic } from './traffic.ts'

/** Parts up to this size are copied together: one large write is cheaper than many small. */
const COPIED_PART_BYTES_MAX = 16 * 1024
const COPIED_BATCH_BYTES_MAX = 64 * 1024
/** How long a closing socket may take to send what is queued. */
const FLUSH_MS_MAX = 500

/**
 * Who ended a channel. `peer`: a FIN or RST came, which is what the kernel sends for a process
 * that died. `network`: no answer. `here`: this side closed it.
 */
export type ChannelEnd = 'peer' | 'network' | 'here'

export interface ChannelListener {
  frame(kind: number, body: Uint8Array): void
  /** Called once. `fault` is set when the other side's bytes were no frames. */
  closed(end: ChannelEnd, fault: Error | null): void
  /** The queue is empty again after it had grown past what the kernel took. */
  drained?(): void
}

export interface ChannelLimits {
  readonly frameBytesMax: number
  readonly queueBytesMax: number
}

/** Frames over one socket: checks what comes, and sends what one turn of the loop made at once. */
export class Channel {
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #traffic: Traffic
  #limits: ChannelLimits
  #listener: ChannelListener
  #pending: Uint8Array[] = []
  #pendingBytes = 0
  #flushScheduled = false
  #end: ChannelEnd | null = null
  #isEnding = false
  #fault: Error | null = null

  constructor(socket: Socket, limits: ChannelLimits, listener: ChannelListener, traffic: Traffic) {
    this.#socket = socket
    this.#traffic = traffic
    this.#reader = new FrameReader(limits.frameBytesMax)
    this.#limits = limits
    this.#listener = listener
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('drain', () => this.#listener.drained?.())
    socket.on('end', () => this.#destroy('peer'))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#end === null && error.code?.startsWith('ERR_SSL') === true) this.#fault = error
      // TLS reports a record that was tampered with, but leaves the socket open.
      this.#destroy(isReset(error) ? 'peer' : 'network')
    })
    socket.once('close', () => this.#listener.closed(this.#end ?? 'network', this.#fault))
  }

  /** After the handshake: the real limits, and the listener of the rest of its life. */
  admit(limits: ChannelLimits, listener: ChannelListener): void {
    this.#limits = limits
    this.#listener = listener
    this.#reader.setBodyBytesMax(limits.frameBytesMax)
  }

  get isOpen(): boolean {
    return this.#end === null && !this.#isEnding && !this.#socket.destroyed
  }

  get queuedBytes(): number {
    return this.#pendingBytes + this.#socket.writableLength
  }

  /** False: closed, too large, or the queue is full; then nothing of it is sent. */
  send(kind: number, parts: readonly Uint8Array[]): boolean {
    if (!this.isOpen) return false
    let bodyBytes = 0
    for (const part of parts) bodyBytes += part.length
    if (bodyBytes > this.#limits.frameBytesMax) return false
    const frameBytes = FRAME_HEADER_BYTES + bodyBytes
    if (this.queuedBytes + frameBytes > this.#limits.queueBytesMax) return false
    this.#pending.push(encodeFrameHeader(kind, parts))
    for (const part of parts) if (part.length > 0) this.#pending.push(part)
    this.#pendingBytes += frameBytes
    if (!this.#flushScheduled) {
      this.#flushScheduled = true
      setImmediate(() => this.#flush())
    }
    return true
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Closes at once; what is queued is lost. */
  destroy(): void {
    this.#destroy('here')
  }

  /**
   * Sends what is queued, within a short time, and closes. What comes in is thrown away but still
   * read: closing over unread bytes makes the kernel reset the connection, and the last frame,
   * often the reason for the end, would be lost with it.
   */
  finish(): void {
    if (!this.isOpen) return
    this.#isEnding = true
    this.#flush()
    const bound = setTimeout(() => this.#destroy('here'), FLUSH_MS_MAX)
    this.#socket.once('close', () => clearTimeout(bound))
    this.#end = 'here'
    this.#socket.resume()
    this.#socket.end()
  }

  /** Closes because the other side broke the protocol. */
  fail(fault: Error): void {
    this.#fault ??= fault
    this.#destroy('here')
  }

  #receive(chunk: Buffer): void {
    this.#traffic.receivedBytes += chunk.length
    if (!this.isOpen) return
    this.#reader.push(chunk)
    for (;;) {
      const frame = this.#nextFrame()
      if (frame === null) return
      this.#listener.frame(frame.kind, frame.body)
      if (!this.isOpen) return
    }
  }

  #nextFrame(): ReturnType<FrameReader['next']> {
    try {
      return this.#reader.next()
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.fail(error)
      return null
    }
  }

  #flush(): void {
    this.#flushScheduled = false
    const parts = this.#pending
    this.#pending = []
    this.#pendingBytes = 0
    if (parts.length === 0 || this.#socket.destroyed) return
    const chunks = joinSmallParts(parts)
    if (chunks.length > 1) this.#socket.cork()
    for (const chunk of chunks) {
      this.#traffic.sentBytes += chunk.length
      this.#socket.write(chunk)
    }
    if (chunks.length > 1) this.#socket.uncork()
  }

  #destroy(end: ChannelEnd): void {
    this.#end ??= end
    this.#socket.destroy()
  }
}

function isReset(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE'
}

/** Copies runs of small parts together and leaves large ones, entry data above all, as they are. */
function joinSmallParts(parts: readonly Uint8Array[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let run: Uint8Array[] = []
  let runBytes = 0
  const endRun = (): void => {
    if (run.length > 0) chunks.push(run.length === 1 ? (run[0] as Uint8Array) : Buffer.concat(run))
    run = []
    runBytes = 0
  }
  for (const part of parts) {
    const isSmall = part.length <= COPIED_PART_BYTES_MAX
    if (!isSmall || runBytes + part.length > COPIED_BATCH_BYTES_MAX) endRun()
    if (isSmall) {
      run.push(part)
      runBytes += part.length
    } else {
      chunks.push(part)
    }
  }
  endRun()
  return chunks
}
