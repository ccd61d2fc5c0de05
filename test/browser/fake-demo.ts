/** A demo server that does what a test says: the pages as they are built, and a scripted API. */
import { createReadStream, existsSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { BenchFigures, DemoEvents } from '../../src/demo/protocol.ts'

const pages = fileURLToPath(new URL('../../dist/web/', import.meta.url))

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The strictest that the pages hold: nothing but their own files. */
export const POLICY: string =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'"

/** Answers with a file of the built pages; false if there is none of that name. */
export function servePage(path: string, response: ServerResponse): boolean {
  const file = join(pages, normalize(path))
  const type = types[extname(file)]
  if (type === undefined || !file.startsWith(pages) || !existsSync(file)) return false
  response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY })
  createReadStream(file).pipe(response)
  return true
}

export interface FakePost {
  readonly path: string
  readonly body: unknown
}

export class FakeDemo {
  /** What the page asked for, in order. */
  readonly posts: FakePost[] = []
  hello: DemoEvents['hello']
  bench: BenchFigures | null = null
  /** What comes next, posts and listeners, is refused with these words. */
  refusal: string | null = null
  readonly #streams = new Set<ServerResponse>()
  readonly #server: Server
  #port = 0

  constructor(hello: DemoEvents['hello']) {
    this.hello = hello
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  /** Again on the same port, if it was there before. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
    return `http://127.0.0.1:${this.#port}/`
  }

  /** Pages that listen. */
  get listeners(): number {
    return this.#streams.size
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }

  send<Name extends keyof DemoEvents>(name: Name, data: DemoEvents[Name]): void {
    for (const stream of this.#streams) writeEvent(stream, name, data)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost')
    if (request.method === 'POST') this.#take(pathname, request, response)
    else if (pathname === '/api/events') this.#stream(response)
    else if (pathname === '/api/bench' && this.bench !== null) {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(JSON.stringify(this.bench))
    } else if (!servePage(pathname === '/' ? 'demo.html' : pathname, response)) {
      response.writeHead(404).end()
    }
  }

  #stream(response: ServerResponse): void {
    if (this.refusal !== null) {
      refuse(response, 503, this.refusal)
      return
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    writeEvent(response, 'hello', this.hello)
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
  }

  #take(path: string, request: IncomingMessage, response: ServerResponse): void {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => {
      text += chunk
    })
    request.on('end', () => {
      this.posts.push({ path, body: text === '' ? null : JSON.parse(text) })
      if (this.refusal === null) {
        response.writeHead(204).end()
        return
      }
      refuse(response, 409, this.refusal)
    })
  }
}

function refuse(response: ServerResponse, status: number, message: string): void {
  const error = { code: 'ERR_BUSY', message, retryable: true }
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error }))
}

function writeEvent(response: ServerResponse, name: string, data: unknown): void {
  response.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)
}
