import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { ColmenaError, type ColmenaNode } from '../index.ts'
import {
  BEAT_MS,
  encodeFrame,
  FrameReader,
  type FromMachine,
  LINK_OPTIONS,
} from './machine-link.ts'
import { NodeAgent } from './node-agent.ts'
import type { ToNode } from './node-messages.ts'

const HANDSHAKE_MS_MAX = 5_000
/** Strangers among them, which are gone after the handshake. */
const CONNECTIONS_MAX = 64
/** What waits for a machine that reads slowly. Beyond it the machine is let go, and dials again. */
const QUEUE_BYTES_MAX = 8_388_608

export interface MachinePortOptions {
  readonly host: string
  readonly port: number
  readonly key: Buffer
  /** Since when this machine has the page; null while it has not. */
  readonly pageSince: () => number | null
}

/** Where other machines reach the agent of this one's node. Who has not the key gets nothing. */
export class MachinePort {
  readonly #server: Server
  readonly #pageSince: () => number | null
  readonly #names = new WeakMap<TLSSocket, string>()
  /** One of each machine: what an earlier one still holds must not come after the later one. */
  readonly #callers = new Map<string, Caller>()
  /** All connections, with those of strangers that have not shown the key yet. */
  readonly #sockets = new Set<Socket>()
  #node: ColmenaNode | null = null

  private constructor({ key, pageSince }: MachinePortOptions) {
    this.#pageSince = pageSince
    this.#server = createServer({
      ...LINK_OPTIONS,
      handshakeTimeout: HANDSHAKE_MS_MAX,
      pskCallback: (socket, name) => {
        this.#names.set(socket, name)
        return key
      },
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    this.#server.on('secureConnection', (socket) => this.#accept(socket))
  }

  /** @throws ColmenaError ERR_ADDRESS_IN_USE, ERR_INVALID_OPTION */
  static async open(options: MachinePortOptions): Promise<MachinePort> {
    const { host, port } = options
    const opened = new MachinePort(options)
    await new Promise<void>((resolve, reject) => {
      opened.#server.on('error', (cause: NodeJS.ErrnoException) => {
        const code = cause.code === 'EADDRINUSE' ? 'ERR_ADDRESS_IN_USE' : 'ERR_INVALID_OPTION'
        const message = `the agent can't listen on ${host}, port ${port}: ${cause.message}`
        reject(new ColmenaError(code, message, { cause }))
      })
      opened.#server.listen(port, host, resolve)
    })
    return opened
  }

  /** The node is open: whoever is connected, or will be, is told, and may ask. */
  serve(node: ColmenaNode): void {
    this.#node = node
    for (const caller of this.#callers.values()) caller.serve(node)
  }

  close(): void {
    this.#server.close()
    for (const caller of this.#callers.values()) caller.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(socket: TLSSocket): void {
    const name = this.#names.get(socket) ?? ''
    this.#callers.get(name)?.close()
    const caller = new Caller(socket, this.#pageSince)
    this.#callers.set(name, caller)
    socket.once('close', () => {
      caller.close()
      if (this.#callers.get(name) === caller) this.#callers.delete(name)
    })
    if (this.#node !== null) caller.serve(this.#node)
    caller.beat()
  }
}

/** Another machine, which has the key. */
class Caller {
  readonly #socket: TLSSocket
  readonly #pageSince: () => number | null
  readonly #beats: NodeJS.Timeout
  #agent: NodeAgent | null = null

  constructor(socket: TLSSocket, pageSince: () => number | null) {
    this.#socket = socket
    this.#pageSince = pageSince
    const frames = new FrameReader()
    socket.setNoDelay(true)
    // An error is followed by its close.
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#receive(frames, chunk))
    this.#beats = setInterval(() => this.beat(), BEAT_MS)
  }

  /** The first one also says that before it all was told which the machine knows already. */
  beat(): void {
    this.#tell({ kind: 'page', since: this.#pageSince() })
  }

  serve(node: ColmenaNode): void {
    this.#agent = new NodeAgent(node, (message) => this.#tell(message))
  }

  close(): void {
    clearInterval(this.#beats)
    this.#agent?.close()
    this.#socket.destroy()
  }

  #receive(frames: FrameReader, chunk: Buffer): void {
    try {
      for (const message of frames.read(chunk)) this.#obey(message as ToNode)
    } catch {
      // It speaks another language, as an older version may: it dials again.
      this.#socket.destroy()
    }
  }

  #obey(message: ToNode): void {
    if (message.kind === 'kill') process.kill(process.pid, 'SIGKILL')
    else if (message.kind !== 'open') this.#agent?.receive(message)
  }

  #tell(message: FromMachine): void {
    if (this.#socket.destroyed) return
    if (this.#socket.writableLength > QUEUE_BYTES_MAX) this.#socket.destroy()
    else this.#socket.write(encodeFrame(message))
  }
}
