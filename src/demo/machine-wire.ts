import { connect, type TLSSocket } from 'node:tls'
import { encodeFrame, FrameReader, type FromMachine, LINK_OPTIONS } from './machine-link.ts'
import type { OpenWire } from './node-handle.ts'

/** A machine that was told to end its process and does not is let go after so long. */
const KILL_MS_MAX = 5_000

export interface DialOptions {
  readonly host: string
  readonly port: number
  readonly key: Buffer
  /** Who dials. */
  readonly name: string
  /** A machine that is not heard for so long is gone: where it lost its network, none says so. */
  readonly silenceMsMax: number
  readonly signal: AbortSignal
  /** Since when the machine has the page. */
  readonly page: (since: number | null) => void
}

/** Resolves once the other side has proved that it has the key. */
export async function dialMachine(options: DialOptions): Promise<OpenWire> {
  const { host, port, key, name, silenceMsMax, signal, page } = options
  signal.throwIfAborted()
  const socket = connect({
    ...LINK_OPTIONS,
    host,
    port,
    pskCallback: () => ({ psk: key, identity: name }),
    // It has no certificate: the key is what it proves.
    checkServerIdentity: () => undefined,
  })
  const end = (): void => void socket.destroy()
  signal.addEventListener('abort', end)
  socket.once('close', () => signal.removeEventListener('abort', end))
  socket.setNoDelay(true)
  socket.setTimeout(silenceMsMax, end)
  // An error is followed by its close.
  socket.on('error', () => {})
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve)
    socket.once('close', () => reject(new Error(`${host}, port ${port} is not reached`)))
  })
  return (listener) => openWire(socket, page, listener)
}

function openWire(
  socket: TLSSocket,
  page: DialOptions['page'],
  { received, ended }: Parameters<OpenWire>[0],
): ReturnType<OpenWire> {
  const frames = new FrameReader()
  socket.on('data', (chunk: Buffer) => {
    try {
      for (const message of frames.read(chunk) as FromMachine[]) {
        if (message.kind === 'page') page(message.since)
        else received(message)
      }
    } catch {
      // It speaks another language, as a newer version may.
      socket.destroy()
    }
  })
  if (socket.closed) setImmediate(ended)
  else socket.once('close', ended)
  return {
    pid: null,
    send: (message) => void socket.write(encodeFrame(message)),
    kill: () => {
      socket.write(encodeFrame({ kind: 'kill' }))
      setTimeout(() => socket.destroy(), KILL_MS_MAX).unref()
    },
    close: () => void socket.destroy(),
  }
}
