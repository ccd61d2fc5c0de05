import { createServer as createHttpServer, type Server as HttpServer } from 'node:http'
import { createServer as createHttpsServer, Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { ColmenaError, type ColmenaNode, type SignalOptions } from '../index.ts'
import { checkServerOptions, checkTls, type ServerConfig } from './config.ts'
import { Connections } from './connections.ts'
import { type Handler, handle } from './handler.ts'
import { formatUrlHost } from './hosts.ts'
import type { ServerOptions, TlsOptions } from './options.ts'

/** A server that listens. */
export interface Server extends AsyncDisposable {
  /** Where it is, such as `http://127.0.0.1:8080`. */
  readonly url: string
  /** The port that it really listens on. */
  readonly port: number
  /**
   * Shows another certificate from now on; connections that there are go on.
   *
   * @throws ColmenaError ERR_INVALID_OPTION where it can't be used, or the server has no `tls`:
   * nothing is changed
   */
  rotate(tls: TlsOptions): void
  /**
   * Takes no more requests, ends `/events`, gives those under way `closeTimeoutMs`, and then cuts
   * them off; `signal` does that sooner. The node stays open. Every caller gets the same promise.
   */
  close(options?: SignalOptions): Promise<void>
}

interface Pem {
  readonly key: string | Buffer
  readonly cert: string | Buffer
}

/** How often connections are looked at for those that send too slowly. */
const CHECK_MS_MAX = 1_000

/**
 * Serves a node over HTTP: libsql's protocol, health, metrics, events, members and the cluster
 * page. Without `tokens` it is for this machine alone.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, ERR_WEAK_SECRET, ERR_ADDRESS_IN_USE, ERR_FAILED
 * @example
 * await using server = await createServer(node, { port: 8080 })
 * console.log(server.url)
 */
export async function createServer(
  node: ColmenaNode,
  options: ServerOptions = {},
): Promise<Server> {
  const config = checkServerOptions(options)
  const handler = handle(node, config)
  const server = createListening(config)
  const connections = new Connections(server)
  server.on('request', (request, response) => void handler.listener(request, response))
  await listen(server, config)
  server.on('error', (error) => config.logger.error?.('the HTTP server failed', error))
  const { port } = server.address() as AddressInfo
  const scheme = config.tls === null ? 'http' : 'https'
  let closing: Promise<void> | undefined
  const close: Server['close'] = ({ signal } = {}) => {
    closing ??= shutDown(server, connections, handler, config.closeTimeoutMs)
    if (signal?.aborted) connections.cut()
    signal?.addEventListener('abort', () => connections.cut(), { once: true })
    return closing
  }
  return {
    url: `${scheme}://${formatUrlHost(config.host)}:${port}`,
    port,
    rotate: (tls) => rotate(server, tls),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function createListening(config: ServerConfig): HttpServer {
  const { headersTimeoutMs, requestTimeoutMs, idleTimeoutMs, tls } = config
  const limits = {
    // The handler refuses one without it too, and says why.
    requireHostHeader: false,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    connectionsCheckingInterval: Math.min(headersTimeoutMs, CHECK_MS_MAX),
  }
  const server = tls === null ? createHttpServer(limits) : createSecure(tls, limits, config)
  server.maxConnections = config.connectionsMax
  // A client that does not read keeps its answer in memory: it is cut off too.
  server.setTimeout(idleTimeoutMs)
  return server
}

function createSecure(
  tls: TlsOptions,
  limits: object,
  { headersTimeoutMs: handshakeTimeout }: ServerConfig,
): HttpServer {
  return withPem(tls, (pem) => createHttpsServer({ ...pem, handshakeTimeout, ...limits }))
}

function rotate(server: HttpServer, tls: TlsOptions): void {
  const checked = checkTls(tls)
  if (checked === null || !(server instanceof HttpsServer)) {
    const why = checked === null ? 'rotate needs a key and cert' : 'it was made without tls'
    throw new ColmenaError('ERR_INVALID_OPTION', `the server keeps what it has: ${why}`)
  }
  withPem(checked, (pem) => server.setSecureContext(pem))
}

/** @throws ColmenaError ERR_INVALID_OPTION where OpenSSL can't use them. */
function withPem<T>({ key, cert }: TlsOptions, use: (pem: Pem) => T): T {
  // Anything but bytes or text was refused before; Node.js takes bytes as a Buffer only.
  const toPem = (part: string | Uint8Array): string | Buffer =>
    typeof part === 'string' ? part : Buffer.from(part)
  try {
    return use({ key: toPem(key), cert: toPem(cert) })
  } catch (cause) {
    const message = `tls has no key and certificate that fit: ${(cause as Error).message}`
    throw new ColmenaError('ERR_INVALID_OPTION', message, { cause })
  }
}

function listen(server: HttpServer, { host, port }: ServerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (cause: NodeJS.ErrnoException): void => {
      const address = `${formatUrlHost(host)}:${port}`
      const [code, why] =
        cause.code === 'EADDRINUSE'
          ? (['ERR_ADDRESS_IN_USE', 'another program listens there'] as const)
          : (['ERR_FAILED', cause.message] as const)
      reject(new ColmenaError(code, `the server can't listen on ${address}: ${why}`, { cause }))
    }
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

async function shutDown(
  server: HttpServer,
  connections: Connections,
  handler: Handler,
  closeTimeoutMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  handler.close()
  connections.drain(server)
  const timer = setTimeout(() => connections.cut(), closeTimeoutMs)
  await closed
  clearTimeout(timer)
}
