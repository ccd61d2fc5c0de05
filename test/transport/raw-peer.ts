import net, { type Socket } from 'node:net'
import { encodeFrameHeader, FrameReader } from '../../src/transport/frame.ts'
import { decodeHello, encodeHello } from '../../src/transport/hello.ts'
import type { Identity, Purpose } from '../../src/transport/transport.ts'
import { WIRE_KIND } from '../../src/transport/wire-kind.ts'
import { createIdentity, type Scope } from './cluster.ts'

/** One frame as bytes. */
export function frameBytes(kind: number, body: Uint8Array): Buffer {
  return Buffer.concat([encodeFrameHeader(kind, [body]), body])
}

export function helloBytes(purpose: Purpose, identity: Identity, expects = 0): Buffer {
  return frameBytes(WIRE_KIND.hello, encodeHello({ identity, purpose, expects }))
}

/** A bare socket to a transport: it says what a test wants and notes what comes back. */
export class RawPeer {
  readonly socket: Socket
  readonly kinds: number[] = []
  readonly bodies: Uint8Array[] = []
  isClosed = false

  constructor(socket: Socket) {
    const reader = new FrameReader(64 * 1024 * 1024)
    this.socket = socket
    socket.on('error', () => {})
    socket.on('close', () => {
      this.isClosed = true
    })
    socket.on('data', (chunk) => {
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        this.kinds.push(frame.kind)
        this.bodies.push(frame.body)
      }
    })
  }
}

export async function connectRaw(
  t: Scope,
  port: number,
  localAddress = '127.0.0.1',
): Promise<RawPeer> {
  const socket = net.connect({ host: '127.0.0.1', port, localAddress })
  const peer = new RawPeer(socket)
  t.after(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  return peer
}

export interface RawServer {
  readonly address: string
  readonly identity: Identity
  /** The accepted sockets by what they are for. */
  readonly sockets: Map<Purpose, Socket>
  close(): Promise<void>
}

/** Welcomes whoever dials, and then never reads a byte of the purposes in `deafTo`. */
export async function openRawServer(
  t: Scope,
  memberId: number,
  deafTo: readonly Purpose[],
): Promise<RawServer> {
  const identity = createIdentity(memberId)
  const sockets = new Map<Purpose, Socket>()
  const all = new Set<Socket>()
  const server = net.createServer((socket) => {
    const reader = new FrameReader(64 * 1024 * 1024)
    all.add(socket)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      reader.push(chunk)
      for (let frame = reader.next(); frame !== null; frame = reader.next()) {
        if (frame.kind === WIRE_KIND.ping) socket.write(frameBytes(WIRE_KIND.pong, frame.body))
        if (frame.kind !== WIRE_KIND.hello) continue
        const hello = decodeHello(frame.body)
        if ('code' in hello) throw new Error('a hello of our own version')
        sockets.set(hello.purpose, socket)
        const { purpose } = hello
        socket.write(frameBytes(WIRE_KIND.welcome, encodeHello({ identity, purpose, expects: 0 })))
        if (deafTo.includes(purpose)) socket.pause()
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      for (const socket of all) socket.destroy()
      server.close(() => resolve())
    })
  t.after(close)
  const { port } = server.address() as net.AddressInfo
  return { address: `127.0.0.1:${port}`, identity, sockets, close }
}

/** What a proxy does with bytes on their way from dialer to server; null cuts the connection. */
export type Tamper = (chunk: Buffer, passedBytes: number, purpose: Purpose) => Buffer | null

const PURPOSES: readonly Purpose[] = ['control', 'bulk', 'call', 'snapshot']
/** Where the purpose stands in a plaintext hello: frame header, magic, version. */
const PURPOSE_AT = 9 + 4 + 2

export interface TestProxy {
  readonly address: string
  /** Ends every connection that goes through it. */
  cut(): void
}

/** A man in the middle of plaintext links. */
export async function openProxy(t: Scope, targetPort: number, tamper: Tamper): Promise<TestProxy> {
  const all = new Set<Socket>()
  const server = net.createServer((incoming) => {
    const outgoing = net.connect({ host: '127.0.0.1', port: targetPort })
    let passedBytes = 0
    let purpose: Purpose = 'call'
    for (const socket of [incoming, outgoing]) {
      all.add(socket)
      socket.on('error', () => {})
    }
    incoming.on('data', (chunk) => {
      if (passedBytes === 0) purpose = PURPOSES[chunk[PURPOSE_AT] as number] as Purpose
      const passed = tamper(chunk, passedBytes, purpose)
      passedBytes += chunk.length
      if (passed === null) {
        incoming.destroy()
        outgoing.destroy()
      } else if (!outgoing.write(passed)) {
        incoming.pause()
        outgoing.once('drain', () => incoming.resume())
      }
    })
    outgoing.on('data', (chunk) => incoming.write(chunk))
    incoming.on('close', () => outgoing.destroy())
    outgoing.on('close', () => incoming.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const cut = (): void => {
    for (const socket of all) socket.destroy()
  }
  t.after(async () => {
    cut()
    await new Promise((resolve) => server.close(resolve))
  })
  return { address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`, cut }
}
