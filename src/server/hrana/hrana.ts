/**
 * The libSQL remote protocol (Hrana over HTTP, versions 2 and 3 as JSON): what the body of a
 * request means, whoever serves it. Promises that a malformed body has done nothing, that a
 * failure says whether to repeat, and that what clients leave behind is bounded in number, size
 * and time. Leaves to its caller: HTTP, tokens, the size and JSON of bodies, and stopping long
 * statements.
 */
import { type CallOptions, ColmenaError, type Database } from '../../index.ts'
import { batchLines, line, runBatch } from './batch.ts'
import { type HranaError, invalid, toHranaError } from './failure.ts'
import { HRANA_LIMITS, type HranaLimits } from './limits.ts'
import { BodyDecoder, type StreamRequest } from './request.ts'
import { AnswerBudget, type Run } from './run.ts'
import { describeStatement, runSequence, runStatement } from './statement.ts'
import { type Stream, StreamTable } from './streams.ts'
import { findTransaction } from './transaction.ts'

/** The options of a call that say what a read must see. */
export type ReadingOptions = Pick<CallOptions, 'consistency' | 'maxStalenessMs' | 'after'>

/** Who asks, of which database, and how. */
export interface HranaContext {
  readonly database: Database
  /** What its reads ask for; what is left out is for the handle to say. */
  readonly reading?: ReadingOptions | undefined
  /** Whether all foreign keys must hold after a batch that runs without them. */
  readonly foreignKeyCheck?: boolean | undefined
  /** Without it every statement that writes is refused. */
  readonly mayWrite: boolean
  /** Aborts when the client is gone: what has not begun by then is not done. */
  readonly signal?: AbortSignal | undefined
  /** 2 for `/v2/…`, 3 for `/v3/…`. */
  readonly version: 2 | 3
}

export interface HranaOptions {
  /** A clock that never goes back, in milliseconds. */
  readonly nowMs: () => number
  /** Bytes that nobody can guess. */
  readonly randomBytes: (count: number) => Uint8Array
  readonly limits?: Partial<HranaLimits> | undefined
}

/** What one request of a pipeline answers. */
export type StreamResult =
  | { readonly type: 'ok'; readonly response: Readonly<Record<string, unknown>> }
  | { readonly type: 'error'; readonly error: HranaError }

export interface PipelineResponse {
  /** For the client's next request on the same stream; null once that is closed. */
  readonly baton: string | null
  readonly base_url: null
  readonly results: readonly StreamResult[]
}

/** The streams of one server's clients. */
export class HranaStreams {
  readonly #options: HranaOptions
  readonly #limits: HranaLimits
  readonly #streams: StreamTable
  #isClosed = false

  constructor(options: HranaOptions) {
    const { nowMs, randomBytes } = options
    this.#limits = { ...HRANA_LIMITS, ...options.limits }
    this.#options = options
    this.#streams = new StreamTable({ nowMs, randomBytes, limits: this.#limits })
  }

  /** Streams that wait for their client. */
  get count(): number {
    return this.#streams.count
  }

  /**
   * Answers the body of a `POST /v2/pipeline` or `/v3/pipeline`. What fails of it fails alone, as
   * its place in the answer says.
   *
   * @throws ColmenaError ERR_INVALID_ARGUMENT, ERR_TOO_LARGE for a body of which nothing was run;
   * ERR_CLOSED.
   */
  async pipeline(body: unknown, context: HranaContext): Promise<PipelineResponse> {
    const { baton, requests } = this.#decoder(context).pipeline(body)
    const run = this.#start(baton, context)
    const results: StreamResult[] = []
    for (const request of requests) results.push(await this.#answer(request, run))
    // Nobody will come back with a baton that nobody got.
    if (context.signal?.aborted) run.stream.isClosed = true
    return { baton: this.#finish(run.stream), base_url: null, results }
  }

  /**
   * Answers the body of a `POST /v3/cursor`, line by line.
   *
   * @throws ColmenaError as `pipeline`, before it returns.
   */
  cursor(body: unknown, context: HranaContext): AsyncGenerator<string, void, void> {
    const { baton, steps } = this.#decoder(context).cursor(body)
    const run = this.#start(baton, context)
    // The baton leaves before anything runs.
    run.stream.mayBegin = findTransaction(steps, run.stream) === null
    const first = line({ baton: this.#finish(run.stream), base_url: null })
    return (async function* () {
      yield first
      yield* batchLines(steps, run)
    })()
  }

  /** Forgets all streams; what is at work goes on. */
  close(): void {
    this.#isClosed = true
    this.#streams.clear()
  }

  #decoder({ version }: HranaContext): BodyDecoder {
    return new BodyDecoder(this.#limits, version)
  }

  #start(baton: string | null, context: HranaContext): Run {
    if (this.#isClosed) throw new ColmenaError('ERR_CLOSED', 'this server is closed')
    const { database, reading, foreignKeyCheck, mayWrite, signal } = context
    const options: CallOptions = { ...reading, signal, exactNumbers: true, isolated: true }
    const budget = new AnswerBudget(this.#limits.answerBytesMax)
    const stream = this.#streams.open(baton, database.name)
    const { nowMs } = this.#options
    return { database, options, foreignKeyCheck, mayWrite, stream, budget, nowMs }
  }

  /** The baton of a stream that goes on. */
  #finish(stream: Stream): string | null {
    if (!stream.isClosed && !this.#isClosed) return this.#streams.keep(stream)
    this.#streams.end(stream)
    return null
  }

  async #answer(request: StreamRequest, run: Run): Promise<StreamResult> {
    const { type } = request
    try {
      if (run.stream.isClosed) throw invalid('the stream was closed by a request before this one')
      const fields = await answerFields(request, run)
      return { type: 'ok', response: { type, ...fields } }
    } catch (error) {
      return { type: 'error', error: toHranaError(error) }
    }
  }
}

async function answerFields(request: StreamRequest, run: Run): Promise<Record<string, unknown>> {
  const { stream } = run
  switch (request.type) {
    case 'close':
      stream.isClosed = true
      return {}
    case 'execute':
      return { result: await runStatement(request.statement, run) }
    case 'batch':
      return { result: await runBatch(request.steps, run) }
    case 'sequence':
      await runSequence(stream.sql(request.sql), run)
      return {}
    case 'describe':
      return { result: await describeStatement(stream.sql(request.sql), run) }
    case 'store_sql':
      stream.storeSql(request.id, request.sql)
      return {}
    case 'close_sql':
      stream.closeSql(request.id)
      return {}
    case 'get_autocommit':
      return { is_autocommit: stream.isAutocommit }
  }
}
