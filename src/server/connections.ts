import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ColmenaError } from '../index.ts'
import { toFailureBody } from './failures.ts'

type Refusal = readonly [status: string, message: string]

const TOO_SLOW: Refusal = [
  '408 Request Timeout',
  'the request was sent too slowly (headersTimeoutMs, requestTimeoutMs, idleTimeoutMs)',
]

/** What a client sent that is no request, by Node's code for it; all else is 400. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  ERR_HTTP_REQUEST_TIMEOUT: TOO_SLOW,
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'the head of the request is too large',
  ],
}

/**
 * The connections of a server: what is no request gets an answer all the same, and the server can
 * end without waiting for anyone.
 */
export class Connections {
  /** With the answer that is under way on each, or the last one. */
  readonly #answers = new Map<Socket, ServerResponse | null>()
  #isClosing = false

  constructor(server: Server) {
    // Raw sockets, so that those which never get through TLS are ended too.
    server.on('connection', (socket: Socket) => this.#add(socket))
    server.on('secureConnection', (socket: Socket) => this.#add(socket))
    server.on('clientError', (error: Error, socket: Socket) =>
      this.#refuse(refusalOf(error), socket),
    )
    // Whoever has not come through TLS can't be answered: an answer would wait there without end.
    server.on('tlsClientError', (_error: Error, socket: Socket) => socket.destroy())
    server.on('timeout', (socket: Socket) => this.#rested(socket))
    // Node.js by itself says nothing to the first, and not why to the second.
    server.on('connect', (_request, socket) =>
      endWith(socket, '405 Method Not Allowed', 'CONNECT is for proxies, and this is none'),
    )
    server.on('checkExpectation', ({ headers, socket }) =>
      endWith(socket, '417 Expectation Failed', `nobody here can meet expect: ${headers.expect}`),
    )
    server.on('request', (request, response) => this.#answering(server, request, response))
  }

  /** From now on connections end with the answer that is under way on them. */
  drain(server: Server): void {
    this.#isClosing = true
    for (const answer of this.#answers.values()) if (answer !== null) endAfter(answer)
    server.closeIdleConnections()
  }

  /** Ends them all at once. */
  cut(): void {
    for (const socket of this.#answers.keys()) socket.destroy()
  }

  #add(socket: Socket): void {
    this.#answers.set(socket, null)
    socket.once('close', () => this.#answers.delete(socket))
  }

  #answering(server: Server, { socket }: IncomingMessage, answer: ServerResponse): void {
    this.#answers.set(socket, answer)
    if (this.#isClosing) endAfter(answer)
    answer.once('close', () => {
      // An answer whose head had left said that the connection stays open: it is idle by now.
      if (this.#isClosing) setImmediate(() => server.closeIdleConnections())
    })
  }

  /** Whoever rests amid a request gets to know why it ends. */
  #rested(socket: Socket): void {
    const answer = this.#answers.get(socket)
    const isAmidRequest = answer?.headersSent === false && !answer.req.complete
    if (isAmidRequest) this.#refuse(TOO_SLOW, socket)
    else socket.destroy()
  }

  #refuse([status, message]: Refusal, socket: Socket): void {
    const answer = this.#answers.get(socket)
    const isAmidAnswer = answer?.headersSent === true && !answer.writableFinished
    if (!socket.writable || isAmidAnswer) {
      socket.destroy()
      return
    }
    endWith(socket, status, message)
  }
}

function refusalOf(error: Error): Refusal {
  const { code = '' } = error as { readonly code?: string }
  return REFUSALS[code] ?? ['400 Bad Request', 'this is no HTTP request']
}

/** For what never becomes a request that the handler sees. */
function endWith(socket: Duplex, status: string, message: string): void {
  const body = JSON.stringify(toFailureBody(new ColmenaError('ERR_INVALID_ARGUMENT', message)))
  const head = [
    `HTTP/1.1 ${status}`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
}

function endAfter(answer: ServerResponse): void {
  if (!answer.headersSent) answer.setHeader('connection', 'close')
}
