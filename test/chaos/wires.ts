import { connect, createServer, type Server, type Socket } from 'node:net'

/** What becomes of bytes from one node to another. */
export interface Rule {
  /** They get lost, and neither side hears that they do. */
  readonly isCut?: boolean
  readonly latencyMs?: number
  readonly bytesPerSecond?: number
}

const GOOD: Rule = {}
/** A node introduces itself by its name, in plain text as long as there is no secret. */
const NAME = /node-(\d+)\.\d+/
/** Whoever has not said by then who he is will not. */
const INTRODUCTION_BYTES_MAX = 4_096
const WAITING_BYTES_MAX = 256 * 1024

/**
 * All wires between nodes: each node advertises the port of a proxy before its own, which knows by
 * the first bytes who comes. So there is a rule for each ordered pair of nodes.
 */
export class Wires {
  readonly #rules = new Map<string, Rule>()
  readonly #passages = new Set<Passage>()
  readonly #servers: Server[] = []
  /** How often something was lost or late, or a connection ended, by a rule or by force. */
  strikes = 0

  /** Lets whoever dials `port` through to `target`, where the node `to` listens. */
  async open(to: number, port: number, target: number): Promise<void> {
    const server = createServer((incoming) => {
      const outgoing = connect(target, '127.0.0.1')
      const passage = new Passage(this, to, incoming, outgoing)
      this.#passages.add(passage)
      passage.ended.then(() => this.#passages.delete(passage))
    })
    this.#servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
  }

  rule(from: number, to: number): Rule {
    return this.#rules.get(`${from}>${to}`) ?? GOOD
  }

  set(from: number, to: number, rule: Rule): void {
    this.#rules.set(`${from}>${to}`, rule)
    if (rule.isCut) for (const passage of this.#passages) passage.lose(from, to)
  }

  /** Connections that there are between the two pass nothing any more; new ones do. */
  tear(one: number, other: number): void {
    for (const passage of this.#passages) {
      passage.lose(one, other)
      passage.lose(other, one)
    }
  }

  /** Ends the connections between the two; they may come again at once. */
  reset(one: number, other: number): void {
    const wanted = [...this.#passages].filter((passage) => passage.isBetween(one, other))
    for (const passage of wanted) passage.destroy()
    this.strikes += wanted.length
  }

  /** All is well again; connections that have lost something end, as they can't be whole. */
  heal(): void {
    this.#rules.clear()
    for (const passage of [...this.#passages]) if (passage.isTorn) passage.destroy()
  }

  close(): void {
    for (const server of this.#servers) server.close()
    for (const passage of [...this.#passages]) passage.destroy()
  }
}

/** One connection through a proxy. */
class Passage {
  readonly ended: Promise<unknown>
  readonly #wires: Wires
  readonly #to: number
  readonly #incoming: Socket
  readonly #outgoing: Socket
  readonly #pipes: Pipe[] = []
  /** Who opened it: null where it has not said so. */
  #from: number | null = null

  constructor(wires: Wires, to: number, incoming: Socket, outgoing: Socket) {
    this.#wires = wires
    this.#to = to
    this.#incoming = incoming
    this.#outgoing = outgoing
    const closed = [incoming, outgoing].map((socket) => {
      socket.setNoDelay(true)
      // An error is followed by its close.
      socket.on('error', () => {})
      return new Promise((resolve) => socket.once('close', resolve))
    })
    this.ended = Promise.all(closed)
    this.#introduce()
  }

  get isTorn(): boolean {
    return this.#pipes.some(({ isTorn }) => isTorn)
  }

  isBetween(one: number, other: number): boolean {
    const [from, to] = [this.#from, this.#to]
    return (from === one && to === other) || (from === other && to === one)
  }

  lose(from: number, to: number): void {
    for (const pipe of this.#pipes) if (pipe.from === from && pipe.to === to) pipe.tear()
  }

  destroy(): void {
    this.#incoming.destroy()
    this.#outgoing.destroy()
  }

  /** Nothing passes until it is known who comes. */
  #introduce(): void {
    let bytes = Buffer.alloc(0)
    const introduce = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const name = NAME.exec(bytes.toString('latin1'))
      if (name === null && bytes.length < INTRODUCTION_BYTES_MAX) return
      this.#incoming.off('data', introduce)
      this.#from = name === null ? null : Number(name[1]) - 1
      const [from, to] = [this.#from ?? this.#to, this.#to]
      const there = new Pipe(this.#wires, from, to, this.#incoming, this.#outgoing)
      this.#pipes.push(there, new Pipe(this.#wires, to, from, this.#outgoing, this.#incoming))
      there.pass(bytes)
    }
    this.#incoming.on('data', introduce)
    for (const [socket, other] of [
      [this.#incoming, this.#outgoing],
      [this.#outgoing, this.#incoming],
    ] as const) {
      socket.once('close', () => {
        // The end of a connection does not get through a cut either.
        if (!this.isTorn) other.destroy()
      })
    }
  }
}

/** One direction of a connection. */
class Pipe {
  readonly from: number
  readonly to: number
  isTorn = false
  readonly #wires: Wires
  readonly #source: Socket
  readonly #sink: Socket
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #lastDueMs = 0

  constructor(wires: Wires, from: number, to: number, source: Socket, sink: Socket) {
    this.from = from
    this.to = to
    this.#wires = wires
    this.#source = source
    this.#sink = sink
    source.on('data', (chunk: Buffer) => this.pass(chunk))
  }

  tear(): void {
    this.isTorn = true
    // It goes on reading, so that it notices an end.
    this.#source.resume()
  }

  pass(chunk: Buffer): void {
    const rule = this.#wires.rule(this.from, this.to)
    if (rule.isCut) this.tear()
    if (this.isTorn) {
      this.#wires.strikes += 1
      return
    }
    const { latencyMs = 0, bytesPerSecond = Number.POSITIVE_INFINITY } = rule
    const nowMs = performance.now()
    const paceMs = (1_000 * chunk.length) / bytesPerSecond
    const dueMs = Math.max(nowMs + latencyMs, this.#lastDueMs + paceMs)
    this.#waiting.push(chunk)
    this.#waitingBytes += chunk.length
    if (dueMs <= nowMs && this.#waiting.length === 1) {
      this.#writeNext()
    } else {
      this.#lastDueMs = dueMs
      this.#wires.strikes += 1
      setTimeout(() => this.#writeNext(), dueMs - nowMs)
    }
    if (this.#waitingBytes > WAITING_BYTES_MAX) this.#source.pause()
  }

  /** Once for each chunk, and always the first: timers alone keep no order. */
  #writeNext(): void {
    const chunk = this.#waiting.shift() as Buffer
    const done = (): void => {
      this.#waitingBytes -= chunk.length
      if (this.#waitingBytes <= WAITING_BYTES_MAX) this.#source.resume()
    }
    if (this.isTorn || this.#sink.destroyed) done()
    else this.#sink.write(chunk, done)
  }
}
