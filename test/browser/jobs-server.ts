/** The server of a node with the routes of its jobs in front of it, for the pages to speak with. */
import { once } from 'node:events'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
  request as sendRequest,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ColmenaNode, isColmenaError } from '../../src/index.ts'
import type { Jobs, ListOptions } from '../../src/jobs/jobs.ts'
import { createServer, type ServerOptions } from '../../src/server/server.ts'

export interface JobsServer {
  readonly url: string
  close(): Promise<void>
}

type Answer = readonly [status: number, body: unknown]

export async function serveJobs(
  node: ColmenaNode,
  jobs: Jobs | null,
  options: Pick<ServerOptions, 'tokens'> = {},
): Promise<JobsServer> {
  const behind = await createServer(node, { ...options, port: 0 })
  const server = createHttpServer((request, response) => {
    if (/^\/jobs[/?]|^\/jobs$/.test(request.url ?? '')) {
      void answer(request, jobs, behind.url).then(([status, body]) => send(response, status, body))
    } else {
      pass(request, response, behind.url)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await Promise.all([closed, behind.close({ signal: AbortSignal.abort() })])
    },
  }
}

function pass(request: IncomingMessage, response: ServerResponse, behind: string): void {
  const { method, headers, url = '/' } = request
  const passed = sendRequest(new URL(url, behind), { method, headers }, (answered) => {
    response.writeHead(answered.statusCode ?? 500, answered.headers)
    answered.pipe(response)
  })
  passed.on('error', () => response.destroy())
  response.on('close', () => passed.destroy())
  request.pipe(passed)
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

function refuse(status: number, code: string, message: string): Answer {
  return [status, { code, message, error: { code, message, retryable: false } }]
}

async function answer(
  request: IncomingMessage,
  jobs: Jobs | null,
  behind: string,
): Promise<Answer> {
  const { authorization } = request.headers
  const known = await fetch(new URL('/status', behind), {
    headers: authorization === undefined ? {} : { authorization },
  })
  const status = await known.json()
  if (!known.ok) return [known.status, status]
  if (request.method === 'POST' && known.headers.get('x-colmena-right') === 'read') {
    return refuse(403, 'ERR_FORBIDDEN', "this needs the right 'write', and the token has 'read'")
  }
  if (jobs === null) {
    return refuse(404, 'ERR_NOT_FOUND', 'this server has no jobs: give it those of createJobs')
  }
  try {
    return await run(request, jobs)
  } catch (error) {
    if (!isColmenaError(error)) throw error
    const { code, message } = error
    return refuse(code === 'ERR_INVALID_ARGUMENT' ? 400 : 503, code, message)
  }
}

async function run({ method, url = '/' }: IncomingMessage, jobs: Jobs): Promise<Answer> {
  const { pathname, searchParams } = new URL(url, 'http://localhost')
  const [, , kind, id = '', act] = pathname.split('/').map(decodeURIComponent)
  const route = [method, kind, act].filter((part) => part !== undefined).join(' ')
  if (route === 'GET') return [200, await jobs.list(toFilter(searchParams))]
  if (route === 'GET stats') return [200, { types: await jobs.stats(), node: jobs.metrics() }]
  if (route === 'GET schedules') return [200, { schedules: await jobs.schedules() }]
  if (route === 'GET job') {
    const job = await jobs.find(id)
    if (job === null) return refuse(404, 'ERR_NOT_FOUND', `there is no job '${id}', or no more`)
    return [200, { job, attempts: await jobs.attempts(id) }]
  }
  const deeds: Readonly<Record<string, () => Promise<unknown>>> = {
    'POST job retry': () => jobs.retry(id),
    'POST job cancel': () => jobs.cancel(id),
    'POST job run': () => jobs.runNow(id),
    'POST types pause': () => jobs.pause(id),
    'POST types resume': () => jobs.resume(id),
    'POST schedules unschedule': () => jobs.unschedule(id),
  }
  const done = await deeds[route]?.()
  return [200, { done: done ?? true }]
}

function toFilter(params: URLSearchParams): ListOptions {
  const { limit, before, ...texts } = Object.fromEntries(params)
  return {
    ...texts,
    ...(limit === undefined ? {} : { limit: Number(limit) }),
    ...(before === undefined ? {} : { before: Number(before) }),
  }
}
