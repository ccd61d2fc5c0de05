import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

/** Whoever has not said by then who he is will not. */
const INTRODUCTION_BYTES_MAX = 4_096
/** What follows tells that the number has ended: it is the length of a text, and no digit. */
const NAME = /(node-\d+)\D/

interface Passage {
  /** Who opened it: null until it has said so. */
  from: string | null
  /** Whether bytes of it were lost: it can't be whole again. */
  isTorn: boolean
  readonly incoming: Socket
  readonly outgoing: Socket
}

/**
 * Stands before one node's port, at an address of its own that the node advertises: what passes can
 * be cut by who comes, and neither side has a switch for it.
 *
 * Who comes is read off the first bytes: a node introduces itself by its name, in plain text as
 * long as there is no secret. Nodes are called node-1, node-2 and so on.
 */
export class NodeProxy {
  /** What the node behind it advertises. */
  readonly address: string
  #target: number | null
  readonly #server: Server
  readonly #passages = new Set<Passage>()
  readonly #cut = new Set<string>()

  private constructor(target: number | null, server: Server) {
    const { port } = server.address() as AddressInfo
    this.address = `127.0.0.1:${port}`
    this.#target = target
    this.#server = server
    server.on('connection', (socket) => this.#accept(socket))
  }

  /** `target` is the port of the node behind, null while there is none; 0 is any free `port`. */
  static async open(target: number | null, port: number): Promise<NodeProxy> {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
    return new NodeProxy(target, server)
  }

  /** Where new connections go from now on; all that there are end. */
  direct(target: number | null): void {
    this.#target = target
    for (const passage of [...this.#passages]) close(passage)
  }

  /** Breaks every connection that the node `from` has opened; it may come again at once. */
  break(from: string): number {
    let count = 0
    for (const passage of [...this.#passages]) {
      if (passage.from !== from) continue
      count += 1
      close(passage)
    }
    return count
  }

  /**
   * From now on what comes from the node `from`, or goes to it over its own connections, gets lost:
   * as in a network that is cut, neither side hears that it is.
   */
  cut(from: string): void {
    this.#cut.add(from)
    for (const passage of this.#passages) if (passage.from === from) tear(passage)
  }

  /** New connections of the node `from` pass again; the torn ones end, and it dials anew. */
  join(from: string): void {
    this.#cut.delete(from)
    for (const passage of [...this.#passages]) {
      if (passage.from === from && passage.isTorn) close(passage)
    }
  }

  close(): void {
    this.#server.close()
    for (const passage of this.#passages) close(passage)
  }

  #accept(incoming: Socket): void {
    if (this.#target === null) {
      incoming.destroy()
      return
    }
    const outgoing = connect(this.#target, '127.0.0.1')
    const passage: Passage = { from: null, isTorn: false, incoming, outgoing }
    this.#passages.add(passage)
    this.#introduce(passage)
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      one.setNoDelay(true)
      // An error is followed by its close.
      one.on('error', () => {})
      one.on('close', () => {
        // The end of a connection does not get through a cut either.
        if (!passage.isTorn) other.destroy()
        if (incoming.destroyed && outgoing.destroyed) this.#passages.delete(passage)
      })
    }
    outgoing.pipe(incoming)
  }

  /** Nothing passes until it is known who comes. */
  #introduce(passage: Passage): void {
    const { incoming, outgoing } = passage
    let bytes = Buffer.alloc(0)
    const introduce = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      passage.from = NAME.exec(bytes.toString('latin1'))?.[1] ?? null
      if (passage.from === null && bytes.length < INTRODUCTION_BYTES_MAX) return
      incoming.off('data', introduce)
      if (passage.from !== null && this.#cut.has(passage.from)) {
        tear(passage)
        return
      }
      outgoing.write(bytes)
      incoming.pipe(outgoing)
    }
    incoming.on('data', introduce)
  }
}

/** Both ends go on reading, so that they notice an end, and pass nothing on. */
function tear(passage: Passage): void {
  passage.isTorn = true
  for (const socket of [passage.incoming, passage.outgoing]) {
    socket.unpipe()
    socket.resume()
  }
}

function close(passage: Passage): void {
  passage.incoming.destroy()
  passage.outgoing.destroy()
}
