import { connect, createServer, type Server, type Socket } from 'node:net'
import { parseAddress } from '../../src/transport/address.ts'
import { FrameReader } from '../../src/transport/frame.ts'
import { decodeHello, HANDSHAKE_BYTES_MAX } from '../../src/transport/hello.ts'

/** One connection through the proxy, and who opened it: '' until it has said so. */
interface Passage {
  from: string
  readonly sockets: readonly [Socket, Socket]
}

/**
 * Stands before one node's port, at an address of its own that the node advertises: what passes can
 * be cut by who comes, and neither side has a switch for it. Plaintext only, since it reads who
 * introduces itself.
 */
export class NodeProxy {
  /** What the node behind it advertises. */
  readonly address: string
  readonly #target: string
  readonly #server: Server = createServer((socket) => this.#accept(socket))
  readonly #passages = new Set<Passage>()

  private constructor(target: string, port: number) {
    this.#target = target
    this.address = `127.0.0.1:${port}`
  }

  static async open(target: string, port: number): Promise<NodeProxy> {
    const proxy = new NodeProxy(target, port)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(port, '127.0.0.1', resolve)
    })
    return proxy
  }

  /** Breaks every connection that the node `from` has opened; it may come again at once. */
  break(from: string): number {
    let count = 0
    for (const passage of [...this.#passages]) {
      if (passage.from !== from) continue
      count += 1
      for (const socket of passage.sockets) socket.destroy()
    }
    return count
  }

  close(): void {
    this.#server.close()
    for (const { sockets } of this.#passages) for (const socket of sockets) socket.destroy()
  }

  #accept(incoming: Socket): void {
    const outgoing = connect(parseAddress(this.#target))
    const passage: Passage = { from: '', sockets: [incoming, outgoing] }
    this.#passages.add(passage)
    const reader = new FrameReader(HANDSHAKE_BYTES_MAX)
    const introduce = (chunk: Buffer): void => {
      reader.push(Buffer.from(chunk))
      const frame = reader.next()
      if (frame === null) return
      incoming.off('data', introduce)
      const hello = decodeHello(frame.body)
      if ('identity' in hello) passage.from = hello.identity.nodeId
    }
    incoming.on('data', introduce)
    for (const [one, other] of [passage.sockets, [outgoing, incoming]] as const) {
      one.setNoDelay(true)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#passages.delete(passage)
        other.destroy()
      })
      one.pipe(other)
    }
  }
}
