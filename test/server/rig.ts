/** Real nodes behind real servers, and clients for them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'
import {
  createServer,
  type Right,
  type Server,
  type ServerOptions,
} from '../../src/server/server.ts'
import { temporaryDirectory } from '../node/temporary.ts'

export const READ_TOKEN = 'a-token-that-may-read'
export const WRITE_TOKEN = 'a-token-that-may-write'
export const ADMIN_TOKEN = 'a-token-that-may-do-all'
export const TOKENS: Readonly<Record<string, Right>> = {
  [READ_TOKEN]: 'read',
  [WRITE_TOKEN]: 'write',
  [ADMIN_TOKEN]: 'admin',
}

const DEADLINE_MS = 20_000

export async function openNode(
  t: TestContext,
  options: Partial<OpenOptions> = {},
): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t), ...options })
  t.after(() => node.close())
  return node
}

export async function serve(
  t: TestContext,
  node: ColmenaNode,
  options: ServerOptions = {},
): Promise<Server> {
  const server = await createServer(node, { port: 0, ...options })
  t.after(() => server.close({ signal: AbortSignal.abort() }))
  return server
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: what it holds is what the test finds out
  readonly body: any
}

/** Asks with a token or none; a body is sent as JSON unless it is text. */
export async function ask(
  url: string,
  path: string,
  options: {
    token?: string
    body?: unknown
    method?: string
    headers?: Record<string, string>
  } = {},
): Promise<Answer> {
  const { token, body, method = body === undefined ? 'GET' : 'POST' } = options
  const headers = new Headers(options.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  const init: RequestInit = { method, headers, redirect: 'manual' }
  if (body !== undefined) init.body = typeof body === 'string' ? body : JSON.stringify(body)
  const response = await fetch(url + path, init)
  const text = await response.text()
  const isJson = response.headers.get('content-type') === 'application/json'
  const { status } = response
  return { status, headers: response.headers, text, body: isJson ? JSON.parse(text) : undefined }
}

/** That an answer is a failure of this code, said as every failure is. */
export function assertFailure(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, answer.text)
  assert.equal(answer.headers.get('content-type'), 'application/json')
  const { message, error } = answer.body
  assert.equal(error.code, code)
  assert.equal(answer.body.code, code)
  assert.equal(error.message, message)
  assert.match(message, /\w+ \w+/)
  assert.equal(typeof error.retryable, 'boolean')
  assert.match(error.outcome, /^(not-applied|committed|unknown)$/)
}

/** The body of a pipeline that runs this SQL. */
export function pipelineOf(...statements: readonly string[]): object {
  return { requests: statements.map((sql) => ({ type: 'execute', stmt: { sql } })) }
}

/** A connection of its own, for what no proper client sends. */
export async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' })
  t.after(() => socket.destroy())
  // Being cut off is what many tests wait for.
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** All that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (bytes) => {
    text += bytes
  })
  // Not `once`: a connection that is reset is at its end too.
  await waitFor('the end of the connection', () => socket.closed)
  return text
}

/** Looks again and again, until it holds. */
export async function waitFor(
  what: string,
  holds: () => boolean | Promise<boolean>,
): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS
  while (!(await holds())) {
    assert.ok(performance.now() < deadlineMs, `waited in vain for ${what}`)
    await sleep(10)
  }
}
