import { CliError } from './failure.ts'

/** A value as SQLite has it; integers are exact. */
export type CliValue = null | bigint | number | string | Uint8Array

export interface CliResult {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly CliValue[])[]
  readonly rowsAffected: number
  readonly lastInsertRowid: string | null
}

/** Of reads, from the weakest to the strongest. */
export const LEVELS: readonly string[] = ['none', 'lease', 'weak', 'strong']

export interface ClientOptions {
  /** Of a node's HTTP server. */
  readonly url: string
  readonly token?: string | undefined
  /** For one request, in milliseconds. @defaultValue 60000 */
  readonly timeoutMs?: number | undefined
}

export interface ExecuteOptions {
  readonly consistency?: string | undefined
  /** Stops waiting; what was sent may be done all the same. */
  readonly signal?: AbortSignal | undefined
  /** Of a batch that runs without foreign keys. */
  readonly foreignKeyCheck?: boolean | undefined
}

/** A statement as the protocol has it; see {@link toStatement}. */
export interface WireStatement {
  readonly sql: string
  readonly args?: readonly WireValue[]
}

export type WireValue =
  | { readonly type: 'null' }
  | { readonly type: 'integer'; readonly value: string }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'text'; readonly value: string }
  | { readonly type: 'blob'; readonly base64: string }

interface WireResult {
  readonly cols: readonly { readonly name: string | null }[]
  readonly rows: readonly (readonly WireValue[])[]
  readonly affected_row_count: number
  readonly last_insert_rowid: string | null
}

interface WireError {
  readonly message: string
  readonly code?: string
}

type WireAnswer =
  | { readonly type: 'ok'; readonly response: { readonly type: string; readonly result?: unknown } }
  | { readonly type: 'error'; readonly error: WireError }

const TIMEOUT_MS = 60_000
const STOPPED = 'stopped; what was sent to the node may be done all the same'

/** A node's HTTP server, as the command talks to it. Every failure is a {@link CliError}. */
export class ApiClient {
  readonly url: string
  readonly #token: string | undefined
  readonly #timeoutMs: number

  constructor({ url, token, timeoutMs = TIMEOUT_MS }: ClientOptions) {
    this.url = checkUrl(url)
    this.#token = token
    this.#timeoutMs = timeoutMs
  }

  /** The answer's JSON. */
  async get<T>(path: string): Promise<T> {
    return (await this.#readJson(await this.request('GET', path))) as T
  }

  /** The answer's JSON; null where the server has no such thing. */
  async find<T>(path: string): Promise<T | null> {
    try {
      return await this.get<T>(path)
    } catch (error) {
      if (error instanceof CliError && error.isMissing) return null
      throw error
    }
  }

  /** The answer's JSON, of what needs no body. */
  async post<T>(path: string): Promise<T> {
    return (await this.#readJson(await this.request('POST', path))) as T
  }

  /** @throws CliError where no server answers, or it refuses. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    stop?: AbortSignal,
  ): Promise<Response> {
    const headers: Record<string, string> = {}
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`
    if (body !== undefined) headers['content-type'] = 'application/json'
    const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
    return this.#send(path, init, stop)
  }

  /** One statement on one database. */
  async execute(
    database: string,
    statement: WireStatement,
    options: ExecuteOptions = {},
  ): Promise<CliResult> {
    const request = { type: 'execute', stmt: { ...statement, want_rows: true } }
    return toResult((await this.pipeline(database, request, options)) as WireResult)
  }

  /** Statements that succeed or fail together. */
  async batch(
    database: string,
    statements: readonly WireStatement[],
    options: ExecuteOptions = {},
  ): Promise<void> {
    await this.#batch(database, transactionSteps(statements, 0), options)
  }

  /** As {@link batch}, but foreign keys are off, and nobody checks them at its end. */
  async batchUnchecked(database: string, statements: readonly WireStatement[]): Promise<void> {
    const steps = [
      { stmt: { sql: 'PRAGMA foreign_keys=off' } },
      ...transactionSteps(statements, 1),
      { stmt: { sql: 'PRAGMA foreign_keys=on' } },
    ]
    await this.#batch(database, steps, { foreignKeyCheck: false })
  }

  async #batch(
    database: string,
    steps: readonly object[],
    options?: ExecuteOptions,
  ): Promise<void> {
    const result = await this.pipeline(database, { type: 'batch', batch: { steps } }, options)
    const { step_errors: errors } = result as { readonly step_errors: (WireError | null)[] }
    const failed = errors.find((error) => error !== null)
    if (failed !== undefined && failed !== null) throw toError(failed)
  }

  /** One request of the protocol, in a stream of its own; answers its result. */
  async pipeline(
    database: string,
    request: object,
    { consistency, signal, foreignKeyCheck }: ExecuteOptions = {},
  ): Promise<unknown> {
    const query = new URLSearchParams()
    if (consistency !== undefined) query.set('consistency', consistency)
    if (foreignKeyCheck !== undefined) query.set('foreignKeyCheck', String(foreignKeyCheck))
    const path = `db/${encodeURIComponent(database)}/v3/pipeline?${query}`
    const requests = [request, { type: 'close' }]
    const response = await this.request('POST', path, { baton: null, requests }, signal)
    const { results } = (await this.#readJson(response, signal)) as {
      readonly results: readonly WireAnswer[]
    }
    const answer = results[0]
    if (answer === undefined) throw new CliError(`${this.url} gave no answer`)
    if (answer.type === 'error') throw toError(answer.error)
    return answer.response.result
  }

  async #send(path: string, init: RequestInit, stop?: AbortSignal): Promise<Response> {
    let response: Response
    // Until an answer begins: a database that is exported may take longer to come.
    const overdue = new AbortController()
    const timeout = new DOMException('no answer', 'TimeoutError')
    const timer = setTimeout(() => overdue.abort(timeout), this.#timeoutMs)
    try {
      const signal = AbortSignal.any(stop === undefined ? [overdue.signal] : [overdue.signal, stop])
      response = await fetch(new URL(path, this.url), { ...init, signal })
    } catch (error) {
      if (stop?.aborted === true) throw new CliError(STOPPED, 1, { cause: error })
      throw new CliError(this.#unreachable(error), 1, { cause: error, isPassing: true })
    } finally {
      clearTimeout(timer)
    }
    if (response.ok) return response
    const { status } = response
    const kind = { isPassing: status === 503, isMissing: status === 404 }
    throw new CliError(await this.#refusal(response), 1, kind)
  }

  async #readJson(response: Response, stop?: AbortSignal): Promise<unknown> {
    try {
      return await response.json()
    } catch (error) {
      if (stop?.aborted === true) throw new CliError(STOPPED, 1, { cause: error })
      if (error instanceof SyntaxError) throw new CliError(this.#foreign(response), 1)
      const broken = `${this.url} broke off amid its answer`
      throw new CliError(broken, 1, { cause: error, isPassing: true })
    }
  }

  #unreachable(error: unknown): string {
    if ((error as Error).name === 'TimeoutError') {
      return `${this.url} gave no answer within ${this.#timeoutMs / 1000} s`
    }
    const { cause } = error as { readonly cause?: { readonly message?: string } }
    if (cause?.message === 'bad port') {
      return `${this.url} has a port that HTTP clients refuse: serve on another one (--http-port)`
    }
    const reason = cause?.message === undefined || cause.message === '' ? '' : ` (${cause.message})`
    return (
      `no server answers at ${this.url}${reason}: is 'colmena serve' running there? ` +
      'Another address is given with --url or COLMENA_URL'
    )
  }

  async #refusal(response: Response): Promise<string> {
    const text = await response.text()
    const hint = response.status === 401 ? '; give a token with --token or COLMENA_TOKEN' : ''
    try {
      const { message } = (JSON.parse(text) as { readonly error: WireError }).error
      return `${message}${hint}`
    } catch {
      return `${this.#foreign(response)}${hint}`
    }
  }

  #foreign({ status }: Response): string {
    return `${this.url} answered with status ${status}, and not as a Colmena server does`
  }
}

/** A transaction as clients of the protocol write it, where it begins as step number `begin`. */
function transactionSteps(statements: readonly WireStatement[], begin: number): readonly object[] {
  const commit = begin + statements.length + 1
  const ifOk = (step: number): object => ({ type: 'ok', step })
  return [
    { stmt: { sql: 'BEGIN' } },
    ...statements.map((stmt, at) => ({
      condition: ifOk(begin + at),
      stmt: { ...stmt, want_rows: false },
    })),
    { condition: ifOk(commit - 1), stmt: { sql: 'COMMIT' } },
    { condition: { type: 'not', cond: ifOk(commit) }, stmt: { sql: 'ROLLBACK' } },
  ]
}

/** What a node answers while its cluster elects, restarts or is full. */
const PASSING_CODES = [
  'ERR_BUSY',
  'ERR_CLOSED',
  'ERR_FAILED',
  'ERR_LAGGING',
  'ERR_NO_LEADER',
  'ERR_TIMEOUT',
]

function toError({ message, code = '' }: WireError): CliError {
  return new CliError(message, 1, { isPassing: PASSING_CODES.includes(code) })
}

export function toWireValue(value: CliValue): WireValue {
  if (value === null) return { type: 'null' }
  if (typeof value === 'bigint') return { type: 'integer', value: String(value) }
  if (typeof value === 'number') return { type: 'float', value }
  if (typeof value === 'string') return { type: 'text', value }
  return { type: 'blob', base64: Buffer.from(value).toString('base64') }
}

function toResult(result: WireResult): CliResult {
  return {
    columns: result.cols.map(({ name }) => name ?? ''),
    rows: result.rows.map((row) => row.map(fromWireValue)),
    rowsAffected: result.affected_row_count,
    lastInsertRowid: result.last_insert_rowid,
  }
}

function fromWireValue(value: WireValue): CliValue {
  switch (value.type) {
    case 'null':
      return null
    case 'integer':
      return BigInt(value.value)
    case 'blob':
      return Buffer.from(value.base64, 'base64')
    default:
      return value.value
  }
}

function checkUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null
  if (parsed !== null && /^https?:$/.test(parsed.protocol)) {
    return parsed.href.endsWith('/') ? parsed.href : `${parsed.href}/`
  }
  throw new CliError(`--url is '${url}'; it must be as http://127.0.0.1:8080`, 2)
}
