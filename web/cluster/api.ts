/** How the cluster page speaks with the node that serves it; relative, so any prefix will do. */

export type Right = 'read' | 'write' | 'admin'
export type Level = 'none' | 'lease' | 'weak' | 'strong'

const tokenKey = 'colmena-token'

/** For this tab alone, and gone with it. */
export function readToken(): string | null {
  return sessionStorage.getItem(tokenKey)
}

export function keepToken(token: string): void {
  sessionStorage.setItem(tokenKey, token)
}

export function makeHeaders(token: string | null): Record<string, string> {
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** What the token may do, null if the server did not say. */
export async function readRight(token: string | null): Promise<Right | null> {
  const response = await fetch('status', { headers: makeHeaders(token) })
  return response.ok ? (response.headers.get('x-colmena-right') as Right | null) : null
}

/** A page of its own for what a plain link could not show: no link carries a token. */
export async function openMetrics(token: string): Promise<void> {
  const response = await fetch('metrics', { headers: makeHeaders(token) })
  const text = new Blob([await response.text()], { type: 'text/plain' })
  location.assign(URL.createObjectURL(text))
}

/** A value as the libSQL protocol writes it. */
export type WireValue =
  | { readonly type: 'null' }
  | { readonly type: 'integer' | 'text'; readonly value: string }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'blob'; readonly base64: string }

export interface QueryResult {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly WireValue[])[]
  readonly changes: number
  readonly level: Level
  readonly durationMs: number
  /** The node that answered, null if the server did not say. */
  readonly node: string | null
}

export interface Query {
  readonly database: string
  readonly sql: string
  readonly level: Level
}

interface PipelineAnswer {
  readonly results: readonly {
    readonly error?: { readonly message: string }
    readonly response?: {
      readonly result: {
        readonly cols: readonly { readonly name: string | null }[]
        readonly rows: readonly (readonly WireValue[])[]
        readonly affected_row_count: number
      }
    }
  }[]
}

/** @throws Error with the server's words, if the statement or the request failed. */
export async function runQuery(query: Query, token: string | null): Promise<QueryResult> {
  const { database, sql, level } = query
  const started = performance.now()
  const response = await ask(`db/${encodeURIComponent(database)}/v3/pipeline`, {
    method: 'POST',
    headers: {
      ...makeHeaders(token),
      'content-type': 'application/json',
      'x-colmena-consistency': level,
    },
    body: JSON.stringify({
      baton: null,
      requests: [{ type: 'execute', stmt: { sql, want_rows: true } }, { type: 'close' }],
    }),
  })
  const answer = await readAnswer(response)
  const durationMs = performance.now() - started
  if (!response.ok) throw new Error((answer as { error: { message: string } }).error.message)
  const [first] = (answer as PipelineAnswer).results
  if (first?.response === undefined) throw new Error(first?.error?.message ?? 'no answer')
  const { cols, rows, affected_row_count: changes } = first.response.result
  return {
    columns: cols.map(({ name }, at) => name ?? `column ${at + 1}`),
    rows,
    changes,
    level,
    durationMs,
    node: decode(response.headers.get('x-colmena-node')),
  }
}

/** What a browser says of an answer that never came is of no use to anybody. */
async function ask(url: string, options: RequestInit): Promise<Response> {
  try {
    return await fetch(url, options)
  } catch (cause) {
    const what = 'the node did not answer, so it is not known whether the statement ran'
    throw new Error(`${what}: is it still running?`, { cause })
  }
}

async function readAnswer(response: Response): Promise<unknown> {
  try {
    return await response.json()
  } catch (cause) {
    const what = `the answer, with status ${response.status}, is not from a node`
    throw new Error(`${what}: what is between it and this page?`, { cause })
  }
}

/** Names may hold what a header may not. */
function decode(name: string | null): string | null {
  return name === null ? null : decodeURIComponent(name)
}
