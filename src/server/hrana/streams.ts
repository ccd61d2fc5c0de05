import { timingSafeEqual } from 'node:crypto'
import { ColmenaError, type Transaction } from '../../index.ts'
import { invalid, tooLarge } from './failure.ts'
import type { HranaLimits } from './limits.ts'
import type { SqlSource } from './request.ts'

export interface StreamTableOptions {
  readonly nowMs: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly limits: HranaLimits
}

const PART_BYTES = 16
/** The end says that there may be a transaction, whose statements must not run outside of it. */
const BATON = /^[\w-]{22}\.[\w-]{22}(\.tx)?$/

/**
 * What a client keeps from one of its requests to the next: SQL texts under its own numbers, and a
 * transaction.
 */
export class Stream {
  readonly database: string
  readonly #limits: HranaLimits
  readonly #texts = new Map<number, string>()
  /** The first half of its batons; empty until it is kept, as most streams never are. */
  id = ''
  /** The second half of the baton that is good for the next request; null while one is at work. */
  secret: string | null = null
  keptAtMs = 0
  sizeBytes = 0
  /** What the table counts it as: its size when it was kept. */
  keptSizeBytes = 0
  isClosed = false
  /** What its client began and has not ended yet. */
  transaction: Transaction | null = null
  /** Whether what it is kept for may begin one. */
  mayBegin = false

  constructor(database: string, limits: HranaLimits) {
    this.database = database
    this.#limits = limits
  }

  /** As SQLite has it: a transaction that is over by itself is none any more. */
  get isAutocommit(): boolean {
    return this.transaction === null || this.transaction.closed
  }

  storeSql(id: number, sql: string): void {
    const { storedSqlTextsMax, storedSqlBytesMax } = this.#limits
    if (this.#texts.has(id)) throw invalid(`SQL text ${id} is stored already: close it first`)
    if (this.#texts.size >= storedSqlTextsMax) {
      throw tooLarge(`the stream stores ${storedSqlTextsMax} SQL texts, as many as it may`)
    }
    const sizeBytes = this.sizeBytes + Buffer.byteLength(sql)
    if (sizeBytes > storedSqlBytesMax) {
      throw tooLarge(
        `the stream would store ${sizeBytes} bytes of SQL, at most ${storedSqlBytesMax} may be`,
      )
    }
    this.#texts.set(id, sql)
    this.sizeBytes = sizeBytes
  }

  closeSql(id: number): void {
    this.sizeBytes -= Buffer.byteLength(this.#texts.get(id) ?? '')
    this.#texts.delete(id)
  }

  find(source: SqlSource): string | undefined {
    return typeof source === 'string' ? source : this.#texts.get(source)
  }

  /** @throws ColmenaError ERR_INVALID_ARGUMENT for a text that is not stored. */
  sql(source: SqlSource): string {
    const sql = this.find(source)
    if (sql !== undefined) return sql
    throw invalid(
      `SQL text ${source} is not stored: it was closed, or the stream was idle for too long. ` +
        'Store it again, or send it as text',
    )
  }
}

/**
 * The streams that wait for their client's next request, and the batons that find them. One that
 * is gone (idle for too long, dropped for others, of another node or another life of this one) is
 * opened anew without a word where it held nothing that a client could not send again; one that
 * held a transaction is over, and so is that.
 */
export class StreamTable {
  readonly #options: StreamTableOptions
  /** In the order in which they were kept last. */
  readonly #streams = new Map<string, Stream>()
  #sizeBytes = 0

  constructor(options: StreamTableOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#streams.size
  }

  /** @throws ColmenaError ERR_INVALID_ARGUMENT for a baton that is none, or that was used. */
  open(baton: string | null, database: string): Stream {
    this.#dropIdle()
    const known = baton === null ? undefined : this.#find(baton)
    if (known === undefined) return new Stream(database, this.#options.limits)
    if (known.database !== database) {
      throw invalid(`the baton is of database '${known.database}', not of '${database}'`)
    }
    known.secret = null
    return known
  }

  /** Keeps the stream for the client's next request; answers with the baton to be sent with it. */
  keep(stream: Stream): string {
    this.#forget(stream)
    stream.id ||= this.#random()
    stream.secret = this.#random()
    stream.keptAtMs = this.#options.nowMs()
    this.#streams.set(stream.id, stream)
    stream.keptSizeBytes = stream.sizeBytes
    this.#sizeBytes += stream.keptSizeBytes
    this.#dropIdle()
    const mayHold = stream.mayBegin || stream.transaction !== null
    stream.mayBegin = false
    return `${stream.id}.${stream.secret}${mayHold ? '.tx' : ''}`
  }

  /** Its client needs it no more, or will not come back. */
  end(stream: Stream): void {
    this.#forget(stream)
    stream.transaction?.close()
    stream.transaction = null
  }

  clear(): void {
    for (const stream of [...this.#streams.values()]) this.end(stream)
  }

  #forget(stream: Stream): void {
    if (this.#streams.delete(stream.id)) this.#sizeBytes -= stream.keptSizeBytes
  }

  #find(baton: string): Stream | undefined {
    if (!BATON.test(baton)) throw invalid('the baton is none that this server hands out')
    const [id, secret] = baton.split('.') as [string, string]
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      if (baton.endsWith('.tx')) throw lostTransaction()
      return undefined
    }
    if (stream.secret !== null && isEqual(stream.secret, secret)) return stream
    throw invalid('the baton was used before: each is good for one request, one at a time')
  }

  #dropIdle(): void {
    const { nowMs, limits } = this.#options
    const oldestMs = nowMs() - limits.streamIdleMs
    for (const stream of this.#streams.values()) {
      const isOver =
        this.#streams.size > limits.streamsMax || this.#sizeBytes > limits.storedSqlTotalBytesMax
      if (!isOver && stream.keptAtMs > oldestMs) return
      // One that is at work is kept anew when that is done.
      if (stream.secret === null) this.#forget(stream)
      else this.end(stream)
    }
  }

  #random(): string {
    return Buffer.from(this.#options.randomBytes(PART_BYTES)).toString('base64url')
  }
}

function isEqual(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a), Buffer.from(b))
}

function lostTransaction(): ColmenaError {
  return new ColmenaError(
    'ERR_TX_ABORTED',
    'the stream is gone: it was idle for too long, or is of another node. If a transaction was ' +
      'open on it, nothing of that was applied: begin it again',
    { retryable: true },
  )
}
