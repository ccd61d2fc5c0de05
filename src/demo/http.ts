import type { HttpBindings } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { ColmenaError, type ErrorCode, isColmenaError } from '../index.ts'
import type { Audience } from './audience.ts'
import { readBenchFigures, readPageFile } from './page-files.ts'
import type { DemoError } from './protocol.ts'
import type { Supervisor } from './supervisor.ts'
import { refusalOf } from './visitors.ts'

const BODY_BYTES_MAX = 4_096
const TEXT_CHARACTERS_MAX = 200
/** Nothing but our own: no request leaves the machine, and no page of others shows this one. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type Status = 400 | 403 | 404 | 409 | 413 | 500 | 503
const STATUSES: Readonly<Partial<Record<ErrorCode, Status>>> = {
  ERR_BUSY: 409,
  ERR_CLOSED: 503,
  ERR_INVALID_ARGUMENT: 400,
  ERR_TOO_LARGE: 413,
}

export interface AppOptions {
  readonly supervisor: Supervisor
  readonly audience: Audience
  /** What leads here: what the server listens on, and names of its own. */
  readonly names: readonly string[]
}

export type App = Hono<{ Bindings: HttpBindings }>

/** What the page asks, and the page itself. */
export function createApp({ supervisor, audience, names }: AppOptions): App {
  const app: App = new Hono()
  app.use(async (context, next) => {
    const { req } = context
    const refusal = refusalOf(names, req.header('host'), req.header('origin'))
    if (refusal !== null) return fail(context, 403, 'ERR_FORBIDDEN', refusal)
    context.header('content-security-policy', POLICY)
    context.header('x-content-type-options', 'nosniff')
    context.header('referrer-policy', 'no-referrer')
    context.header('cache-control', 'no-store')
    return next()
  })
  const onError = (context: Context): Response => {
    const message = `a body has at most ${BODY_BYTES_MAX} bytes`
    return fail(context, 413, 'ERR_TOO_LARGE', message)
  }
  app.use('/api/*', bodyLimit({ maxSize: BODY_BYTES_MAX, onError }))
  app.onError((error, context) => {
    const known = isColmenaError(error) ? error : new ColmenaError('ERR_FAILED', String(error))
    const status = STATUSES[known.code] ?? (known.retryable ? 503 : 500)
    return fail(context, status, known.code, known.message, known.retryable)
  })
  addPosts(app, supervisor)
  addReads(app, supervisor, audience)
  return app
}

function addPosts(app: App, supervisor: Supervisor): void {
  const { cluster } = supervisor
  app.post('/api/write', async (context) => {
    const { text, node } = checkWrite(await readJson(context))
    supervisor.write(text, node)
    return context.body(null, 204)
  })
  app.post('/api/controls', async (context) => {
    supervisor.control(await readJson(context))
    return context.body(null, 204)
  })
  app.post('/api/reset', (context) => {
    supervisor.reset()
    return context.body(null, 204)
  })
  const actions: Readonly<Record<string, (id: string) => void | Promise<void>>> = {
    restart: (id) => cluster.restart(id),
    cut: (id) => cluster.cut(id),
    join: (id) => cluster.join(id),
    'step-down': (id) => cluster.stepDown(id),
  }
  for (const [name, act] of Object.entries(actions)) {
    app.post(`/api/nodes/:id/${name}`, async (context) => {
      await act(context.req.param('id'))
      return context.body(null, 204)
    })
  }
}

function addReads(app: App, supervisor: Supervisor, audience: Audience): void {
  app.get('/api/events', (context) => {
    if (audience.isFull) {
      const message = 'too many pages watch this demo already: close one of them'
      return fail(context, 503, 'ERR_BUSY', message, true)
    }
    context.header('content-type', 'text/event-stream')
    return context.body(audience.open(supervisor.hello()))
  })
  app.get('/api/bench', (context) => {
    const figures = readBenchFigures()
    if (figures !== null) return context.json(figures)
    return fail(context, 404, 'ERR_NOT_FOUND', 'there are no figures: npm run bench')
  })
  app.get('*', (context) => {
    const path = context.req.path.slice(1)
    const file = readPageFile(path)
    if (file !== null) return context.body(file.bytes, 200, { 'content-type': file.type })
    const message =
      path === '' ? 'the page is not built: run `npm run build`' : `there is nothing at /${path}`
    return fail(context, path === '' ? 503 : 404, 'ERR_NOT_FOUND', message)
  })
  app.all('*', (context) => {
    const { method, path } = context.req
    return fail(context, 404, 'ERR_NOT_FOUND', `there is no ${method} ${path}`)
  })
}

function fail(
  context: Context,
  status: Status,
  code: ErrorCode,
  message: string,
  retryable = false,
): Response {
  const body: DemoError = { error: { code, message, retryable } }
  return context.json(body, status)
}

async function readJson(context: Context): Promise<unknown> {
  const text = await context.req.text()
  if (text === '') return {}
  try {
    return JSON.parse(text)
  } catch {
    throw invalid('the body is not JSON')
  }
}

interface CheckedWrite {
  readonly text: string | undefined
  readonly node: string | undefined
}

function checkWrite(body: unknown): CheckedWrite {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw invalid('a write is an object, such as { "text": "hello" }')
  }
  const { text, node } = body as Readonly<Record<string, unknown>>
  if (text !== undefined && typeof text !== 'string') throw invalid('text is not a text')
  if (node !== undefined && typeof node !== 'string') throw invalid('node is not the id of a node')
  // As people count: an emoji is one.
  const count = text === undefined ? 0 : [...text].length
  if (count > TEXT_CHARACTERS_MAX) {
    throw invalid(`the text has ${count} characters, at most ${TEXT_CHARACTERS_MAX} are written`)
  }
  return { text: text === undefined ? undefined : toPlainText(text), node }
}

/**
 * In one line, and without what a terminal or a page would obey. Joiners stay: without them an
 * emoji of a family falls into its people, and Persian is spelled wrongly.
 */
function toPlainText(text: string): string | undefined {
  const plain = text.replaceAll(/[\p{C}--[\u200c\u200d]]+/gv, ' ').trim()
  return plain === '' ? undefined : plain
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
