import { ColmenaError } from '../base/errors.ts'
import { isStale, openConnection, type ReadConnection, type ReadSource } from './read-connection.ts'
import type { AskedDatabase } from './settings.ts'

export interface ReadPoolOptions {
  /** Connections lent at the same time; one more is refused with ERR_BUSY. */
  readonly borrowedMax: number
  /** The age at which what was borrowed ends with ERR_READ_EXPIRED. */
  readonly maxReadMs: number
  /** Bytes of a WAL from which the oldest borrowed connection ends, whatever its age. */
  readonly walBytesMax: number
}

/** Idle connections kept per database, as one asks for it. */
const IDLE_MAX = 2
const TICK_MS_MAX = 1000

/** A connection lent to one reader, which may hold a snapshot as long as it isn't expired. */
export class Borrowed {
  readonly connection: ReadConnection
  readonly asked: AskedDatabase
  readonly sinceMs: number
  #expiry: ColmenaError | null = null
  readonly #release: (borrowed: Borrowed, isReusable: boolean) => void
  #isReturned = false

  constructor(
    asked: AskedDatabase,
    connection: ReadConnection,
    release: (borrowed: Borrowed, isReusable: boolean) => void,
  ) {
    this.asked = asked
    this.connection = connection
    this.sinceMs = performance.now()
    this.#release = release
  }

  get isExpired(): boolean {
    return this.#expiry !== null
  }

  /** @throws ColmenaError ERR_READ_EXPIRED */
  refuseExpired(): void {
    if (this.#expiry !== null) throw this.#expiry
  }

  /** Gives the connection back; it must have no unfinished statement and no transaction. */
  return(isReusable = true): void {
    if (this.#isReturned) return
    this.#isReturned = true
    this.#release(this, isReusable)
  }

  expire(error: ColmenaError): void {
    if (this.#isReturned) return
    this.#expiry = error
    this.return(false)
  }
}

/**
 * Connections for reads that hold a snapshot: each has one of its own, for a connection keeps its
 * snapshot while any statement of it is unfinished, and another read on it would be stale. A
 * snapshot also keeps the WAL from starting anew, so its age is bounded, and it ends sooner when
 * the WAL grows out of bounds.
 */
export class ReadPool {
  readonly #source: ReadSource
  readonly #options: ReadPoolOptions
  readonly #borrowed = new Set<Borrowed>()
  readonly #idle = new Map<AskedDatabase, ReadConnection[]>()
  #timer: NodeJS.Timeout | null = null

  constructor(source: ReadSource, options: ReadPoolOptions) {
    this.#source = source
    this.#options = options
  }

  /** @throws ColmenaError ERR_BUSY while as many are lent as may be. */
  borrow(asked: AskedDatabase): Borrowed {
    if (this.#borrowed.size >= this.#options.borrowedMax) {
      throw new ColmenaError(
        'ERR_BUSY',
        `${this.#borrowed.size} iterators and read transactions are open, as many as may be; ` +
          'read them to the end or call their return()',
        { retryable: true },
      )
    }
    const connection = this.#takeIdle(asked) ?? openConnection(this.#source, asked)
    const borrowed = new Borrowed(asked, connection, (...args) => this.#takeBack(...args))
    this.#borrowed.add(borrowed)
    this.#timer ??= this.#startTimer()
    return borrowed
  }

  close(): void {
    const closed = new ColmenaError('ERR_CLOSED', 'the node was closed')
    for (const borrowed of [...this.#borrowed]) borrowed.expire(closed)
    for (const connections of this.#idle.values()) {
      for (const { reader } of connections) reader.close()
    }
    this.#idle.clear()
  }

  #takeIdle(asked: AskedDatabase): ReadConnection | null {
    const idle = this.#idle.get(asked) ?? []
    for (let found = idle.pop(); found !== undefined; found = idle.pop()) {
      if (!isStale(this.#source, found)) return found
      found.reader.close()
    }
    return null
  }

  #takeBack(borrowed: Borrowed, isReusable: boolean): void {
    this.#borrowed.delete(borrowed)
    if (this.#borrowed.size === 0 && this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    }
    const { connection, asked } = borrowed
    const idle = this.#idle.get(asked) ?? []
    if (!isReusable || isStale(this.#source, connection) || idle.length >= IDLE_MAX) {
      connection.reader.close()
      return
    }
    idle.push(connection)
    this.#idle.set(asked, idle)
  }

  #startTimer(): NodeJS.Timeout {
    const tickMs = Math.max(1, Math.min(TICK_MS_MAX, this.#options.maxReadMs / 4))
    return setInterval(() => this.#expireOld(), tickMs).unref()
  }

  #expireOld(): void {
    const { maxReadMs, walBytesMax } = this.#options
    const nowMs = performance.now()
    let isWalLarge = this.#source.shared.readStorage().walBytes > walBytesMax
    for (const borrowed of [...this.#borrowed]) {
      const isOld = nowMs - borrowed.sinceMs >= maxReadMs
      // A set gives its items in the order they came: the first is the oldest.
      if (isOld || isWalLarge) borrowed.expire(expired(isOld ? maxReadMs : null))
      isWalLarge = false
    }
  }
}

function expired(maxReadMs: number | null): ColmenaError {
  const why =
    maxReadMs === null
      ? 'because the write-ahead file that its snapshot holds grew too large'
      : `after maxReadMs (${maxReadMs} ms)`
  return new ColmenaError('ERR_READ_EXPIRED', `the open read ended ${why}; read it again`, {
    retryable: true,
  })
}
