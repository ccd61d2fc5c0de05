/** A live server, and what no proper client sends: it answers or hangs up, and serves the next. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { open } from '../../src/index.ts'
import { createServer, type Server } from '../../src/server/server.ts'
import { makePassing } from '../simulated/passing.ts'
import { HeldMemory } from './held-memory.ts'
import { cursorBody, odd, pipelineBody, replaceOne, request } from './http-bodies.ts'
import { type HttpAnswer, readAnswers } from './http-client.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import type { AnyTarget } from './target.ts'
import { record } from './values.ts'

const TOKENS = { 'token-that-only-reads': 'read', 'other-one-for-writes!': 'write' } as const
const [READER, WRITER] = Object.keys(TOKENS) as [string, string]
/** What docs/server.md has, and what HTTP itself knows; never 500, which somebody must look at. */
const STATUSES = new Set([
  200, 308, 400, 401, 403, 404, 405, 408, 409, 410, 413, 417, 431, 503, 504,
])

const ANSWER_MS_MAX = 10_000
/** Who sent what may have no answer, and hears nothing for so long, hangs up. */
const QUIET_MS = 100
/** Of the whole process, garbage too: far below what the server may hold at once. */
const PROCESS_GROWN_MB_MAX = 300
const LOOK_CASES = 5
/**
 * In the long form most of it is statements that are kept, and what is compiled. 64 KiB that stay
 * of each request are found in the short form already.
 */
const GROWN_BYTES_MAX = 4 * 1024 * 1024

interface Live {
  readonly server: Server
  readonly troubles: string[]
  rows: number
  /** Inserts without an answer, which may be on their way for so long. */
  late: readonly { readonly inserts: number; readonly untilMs: number }[]
  readonly memory: HeldMemory
  readonly beganMb: number
}

let live: Live

async function openLive(): Promise<() => Promise<void>> {
  const directory = makePassing(join(tmpdir(), 'colmena-fuzz-server'))
  const node = await open({ dataDir: directory })
  const troubles: string[] = []
  const logger = {
    error: (what: string, error?: unknown) => void troubles.push(`${what} ${error}`),
  }
  await node.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY, v)')
  const server = await createServer(node, { port: 0, tokens: TOKENS, logger, bodyBytesMax: 65_536 })
  const memory = new HeldMemory({ everyCases: LOOK_CASES, grownBytesMax: GROWN_BYTES_MAX })
  live = { server, troubles, rows: 0, late: [], memory, beganMb: processMb() }
  return async () => {
    await server.close({ signal: AbortSignal.abort() })
    await node.close()
    rmSync(directory, { recursive: true, force: true })
  }
}

/** How its body is told to end. */
type Framing = 'length' | 'chunked' | 'shorter' | 'longer' | 'both'

interface Asked {
  readonly path: string
  readonly framing: Framing
  readonly content: string
}

interface Exchange {
  readonly token: string
  readonly requests: readonly Asked[]
  readonly changes: readonly Mutation[]
  readonly cuts: readonly number[]
}

const content = (body: fc.Arbitrary<unknown>): fc.Arbitrary<string> =>
  fc
    .oneof(
      { weight: 1, arbitrary: body },
      {
        weight: 2,
        arbitrary: fc
          .tuple(body, fc.nat(1_000), odd)
          .map(([whole, at, by]) => replaceOne(whole, at, by)),
      },
    )
    .map((made) => JSON.stringify(made) ?? 'undefined')

const framing = fc.constantFrom<Framing>(
  ...(['length', 'length', 'length', 'chunked', 'chunked', 'shorter', 'longer', 'both'] as const),
)
const post = (path: string, body: fc.Arbitrary<unknown>): fc.Arbitrary<Asked> =>
  record({ path: fc.constant(path), framing, content: content(body) })

const asked = fc.oneof(
  { weight: 3, arbitrary: post('/v3/pipeline', pipelineBody) },
  { weight: 2, arbitrary: post('/v2/pipeline', pipelineBody) },
  { weight: 2, arbitrary: post('/v3/cursor', cursorBody) },
  { weight: 1, arbitrary: post('/db/other/v3/pipeline', pipelineBody) },
  { weight: 1, arbitrary: post('/v2/pipeline?consistency=strong&after=1', pipelineBody) },
  {
    weight: 1,
    arbitrary: record({
      path: fc.constantFrom(
        '/status',
        '/readyz',
        '/metrics',
        '/members',
        '/v3',
        '/%ff',
        '/nowhere',
      ),
      framing: fc.constant<Framing>('length'),
      content: fc.constant(''),
    }),
  },
  { weight: 1, arbitrary: post('/leadership', fc.constant({ nodeId: 'node' })) },
)

const exchange: fc.Arbitrary<Exchange> = record({
  token: fc.constantFrom('', READER, WRITER, WRITER),
  requests: fc.array(asked, { minLength: 1, maxLength: 3 }),
  changes: mutations,
  cuts: fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 3 }),
})

async function checkExchange({ token, requests, changes, cuts }: Exchange): Promise<void> {
  const whole = Buffer.concat(requests.map((each) => encodeRequest(each, token)))
  const sent = Buffer.from(breakBytes(whole, whole, changes))
  const isProper = changes.length === 0 && requests.every(({ framing: how }) => isWhole(how))
  const answers = await exchangeBytes(sent, cuts, isProper ? ANSWER_MS_MAX : QUIET_MS)
  checkAnswers(answers)
  // Each statement stands there in full, and each writes one row at most.
  const insertsMax = token === WRITER ? insertsIn(sent.toString('latin1')) : 0
  await checkUnharmed(insertsMax)
  // The last answer is that of the request behind them all.
  if (answers.length <= requests.length) {
    const untilMs = performance.now() + ANSWER_MS_MAX
    live.late = [...live.late, { inserts: insertsMax, untilMs }]
  }
  if (isProper) assert.equal(answers.length, requests.length + 1, 'each request has its answer')
}

function insertsIn(sent: string): number {
  return sent.split(/insert|sql_id/i).length - 1
}

function isWhole(how: Framing): boolean {
  return how === 'length' || how === 'chunked'
}

function encodeRequest({ path, framing: how, content: body }: Asked, token: string): Buffer {
  const bytes = Buffer.from(body)
  const head = [`${body === '' ? 'GET' : 'POST'} ${path} HTTP/1.1`, 'host: localhost']
  if (token !== '') head.push(`authorization: Bearer ${token}`)
  const apart = how === 'shorter' ? -3 : how === 'longer' ? 7 : 0
  if (how !== 'chunked' && body !== '') head.push(`content-length: ${bytes.length + apart}`)
  if (how !== 'chunked' && how !== 'both') return withHead(head, bytes)
  head.push('transfer-encoding: chunked')
  const half = Math.floor(bytes.length / 2)
  const pieces = [bytes.subarray(0, half), bytes.subarray(half)]
    .filter(({ length }) => length > 0)
    .flatMap((piece) => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, CRLF])
  return withHead(head, Buffer.concat([...pieces, Buffer.from('0\r\n\r\n')]))
}

const CRLF = Buffer.from('\r\n')

function withHead(head: readonly string[], body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
}

const LAST = Buffer.from('GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')

/** Sends it in pieces and then the last request of all, and waits for the end of the connection. */
async function exchangeBytes(
  sent: Buffer,
  cuts: readonly number[],
  quietMs: number,
): Promise<readonly HttpAnswer[]> {
  const socket = connect({ port: live.server.port, host: '127.0.0.1' })
  const chunks: Buffer[] = []
  const { promise: closed, resolve, reject } = Promise.withResolvers<void>()
  const deadline = setTimeout(() => {
    socket.destroy()
    reject(new Error(`neither an answer nor an end within ${ANSWER_MS_MAX} ms`))
  }, ANSWER_MS_MAX)
  socket.setTimeout(quietMs, () => socket.end())
  socket.on('data', (chunk) => void chunks.push(chunk))
  // To be cut off is an answer here.
  socket.on('error', () => {}).on('close', () => resolve())
  for (let at = 0, i = 0; at < sent.length; i += 1) {
    const end = at + (cuts[i % cuts.length] as number)
    socket.write(sent.subarray(at, end))
    at = end
  }
  socket.write(LAST)
  try {
    await closed
  } finally {
    clearTimeout(deadline)
  }
  return readAnswers(Buffer.concat(chunks))
}

function checkAnswers(answers: readonly HttpAnswer[]): void {
  for (const { status, body } of answers) {
    assert.ok(STATUSES.has(status), `the status ${status} is none that docs/server.md has: ${body}`)
    assert.doesNotMatch(body, /"code":"ERR_FAILED"/, 'no failure that nobody knows')
  }
}

/** Serves on, has written only what it was asked for, holds no more than before. */
async function checkUnharmed(insertsMax: number): Promise<void> {
  assert.deepEqual(live.troubles, [], 'nothing went to the logger')
  const counting = { type: 'execute', stmt: { sql: 'SELECT count(*) FROM t' } }
  const { status, body } = await askPipeline('/v2', READER, null, [counting])
  assert.equal(status, 200, body)
  const rows = Number(/"value":"(\d+)"/.exec(body)?.[1])
  const added = rows - live.rows
  live.late = live.late.filter(({ untilMs }) => performance.now() < untilMs)
  const addedMax = live.late.reduce((sum, { inserts }) => sum + inserts, insertsMax)
  assert.ok(added >= 0 && added <= addedMax, `${added} new rows`)
  live.rows = rows
  const grownMb = processMb() - live.beganMb
  assert.ok(grownMb < PROCESS_GROWN_MB_MAX, `the process grew by ${grownMb} MB`)
  live.memory.check()
}

function processMb(): number {
  return process.memoryUsage.rss() / 2 ** 20
}

/** Which of the batons that were handed out comes with the request. */
type Baton = 'last' | 'used' | 'broken' | 'none'

interface Turn {
  readonly baton: Baton
  readonly at: number
  readonly requests: readonly unknown[]
  readonly isOther: boolean
}

const BEGIN = { type: 'execute', stmt: { sql: 'BEGIN' } }
const ROLLBACK = { type: 'execute', stmt: { sql: 'ROLLBACK' } }

const turns: fc.Arbitrary<readonly Turn[]> = fc.array(
  record({
    baton: fc.constantFrom<Baton>('last', 'last', 'last', 'used', 'broken', 'none'),
    at: fc.nat(1_000),
    requests: fc.array(fc.oneof(request, fc.constantFrom<unknown>(BEGIN, ROLLBACK)), {
      maxLength: 3,
    }),
    isOther: fc.boolean(),
  }),
  { minLength: 2, maxLength: 6 },
)

/** A baton is good for one request, and for the stream that it was handed out for. */
async function checkBatons(made: readonly Turn[]): Promise<void> {
  let last: string | null = null
  let used: string[] = []
  for (const { baton, at, requests, isOther } of made) {
    if (baton === 'none') {
      await closeStream(last)
      last = null
    }
    // Those of a stream that is over begin a new one, if it held no transaction.
    if (last === null) used = []
    const sent = pickBaton(baton, at, last, used)
    const answer = await askPipeline(
      isOther && sent !== last ? '/db/other/v3' : '/v3',
      WRITER,
      sent,
      requests,
    )
    if (sent !== null && sent !== last) {
      assert.ok([400, 409].includes(answer.status), `a baton that is none: ${answer.status}`)
      continue
    }
    // A body that is wrong has used up nothing.
    if (answer.status === 400) continue
    assert.equal(answer.status, 200, answer.body)
    if (sent !== null) used.push(sent)
    last = (JSON.parse(answer.body) as { readonly baton: string | null }).baton
  }
  await closeStream(last)
  await checkUnharmed(insertsIn(JSON.stringify(made)))
}

function pickBaton(
  baton: Baton,
  at: number,
  last: string | null,
  used: readonly string[],
): string | null {
  if (baton === 'none') return null
  if (baton === 'used') return used[at % Math.max(1, used.length)] ?? last
  if (baton === 'last' || last === null) return last
  const place = at % last.length
  return `${last.slice(0, place)}${last[place] === '!' ? '?' : '!'}${last.slice(place + 1)}`
}

async function closeStream(baton: string | null): Promise<void> {
  if (baton !== null) await askPipeline('/v3', WRITER, baton, [{ type: 'close' }])
}

async function askPipeline(
  place: string,
  token: string,
  baton: string | null,
  requests: readonly unknown[],
): Promise<HttpAnswer> {
  const response = await fetch(`${live.server.url}${place}/pipeline`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ baton, requests }),
  })
  const answer = { status: response.status, body: await response.text() }
  checkAnswers([answer])
  return answer
}

const INSERT = { type: 'execute', stmt: { sql: 'INSERT INTO t (v) VALUES (1)' } }
const insertOf = (token: string): Exchange => ({
  token,
  requests: ['/v2/pipeline', '/v3/pipeline'].map((path) => ({
    path,
    framing: 'length',
    content: JSON.stringify({ requests: [INSERT] }),
  })),
  changes: [],
  cuts: [500],
})

export const serverTargets: readonly AnyTarget[] = [
  {
    name: 'server.requests',
    runs: 40,
    input: exchange,
    examples: ['', READER, WRITER].map(insertOf),
    open: openLive,
    check: checkExchange,
  },
  { name: 'server.batons', runs: 20, input: turns, open: openLive, check: checkBatons },
]
