/** Those who reach a port and have no business there: what each does, and what it came to hear. */
import { randomBytes } from 'node:crypto'
import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import type { Tls } from '../certificates/authority.ts'
import { bytes, createIdentity } from '../transport/cluster.ts'
import { frameBytes, helloBytes } from '../transport/raw-peer.ts'

/** Slow: nothing honest waits for so long between two bytes. */
const DRIP_MS = 100
const HEAD = 'POST /v2/pipeline HTTP/1.1\r\nhost: localhost\r\n'
const GUESS = 'authorization: Bearer a-token-that-was-guessed\r\n'
const BODY = JSON.stringify({ requests: [{ type: 'execute', stmt: { sql: 'SELECT * FROM t' } }] })

/** Where one comes from, and where to. */
export interface Way {
  readonly port: number
  readonly from: string
}

/** Comes in and does what it does; whatever is read from the socket is what it hears. */
export type Stranger = (way: Way) => Socket

function dial({ port, from }: Way): Socket {
  return net.connect({ host: '127.0.0.1', port, localAddress: from })
}

/** Says all at once, and waits for what comes. */
function saying(said: () => Uint8Array | string): Stranger {
  return (way) => {
    const socket = dial(way)
    socket.write(said())
    return socket
  }
}

/** Says it byte by byte. */
function dripping(said: () => Uint8Array): Stranger {
  return (way) => {
    const socket = dial(way)
    const all = said()
    let sent = 0
    const drip = setInterval(() => {
      if (sent < all.length - 1) socket.write(all.subarray(sent, ++sent))
    }, DRIP_MS)
    socket.once('close', () => clearInterval(drip))
    return socket
  }
}

/** Gets as far through TLS as it can, and says something then. */
function overTls(options: tls.ConnectionOptions, said: Uint8Array | string | null): Stranger {
  return (way) => {
    const secure = tls.connect({
      socket: dial(way),
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...options,
    })
    if (said !== null) secure.write(said)
    return secure
  }
}

function hello(): Buffer {
  return helloBytes('control', createIdentity(2))
}

const GARBAGE: Readonly<Record<string, Stranger>> = {
  silent: dial,
  'random bytes': saying(() => randomBytes(3_000)),
  'a length of 4 GiB': saying(() => Buffer.concat([Buffer.alloc(4, 0xff), Buffer.alloc(8)])),
  'an entry before the hello': saying(() => frameBytes(1, bytes('an entry'))),
  'a hello of garbage': saying(() => frameBytes(255, randomBytes(200))),
  'a web request': saying(() => `GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n`),
}

/** At the port between nodes, in plaintext: whoever speaks as a node does is none there. */
export const atPlaintext: Readonly<Record<string, Stranger>> = {
  ...GARBAGE,
  'a hello in drips': dripping(hello),
  'no certificate': overTls({}, hello()),
}

/** What someone on the way may have written down. */
export interface Overheard {
  /** What a member sent to the port, from its first byte on. */
  readonly sent: Buffer
}

export function atSecret({ sent }: Overheard): Readonly<Record<string, Stranger>> {
  // It goes in the clear.
  const identity = /colmena-1-[0-9a-f]+/.exec(sent.toString('latin1'))?.[0] ?? ''
  const psk = (name: string): tls.ConnectionOptions => ({
    ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
    maxVersion: 'TLSv1.2',
    pskCallback: () => ({ identity: name, psk: randomBytes(32) }),
  })
  return {
    ...GARBAGE,
    'a plain hello': saying(hello),
    'a replayed handshake': saying(() => sent),
    'a replay in drips': dripping(() => sent),
    'a wrong secret': overTls(psk('colmena-1-0123456789abcdef'), hello()),
    'a wrong secret by the right name': overTls(psk(identity), hello()),
    'no secret': overTls({}, hello()),
  }
}

export function atCertificates(
  { sent }: Overheard,
  byOthers: Tls,
): Readonly<Record<string, Stranger>> {
  const { cert, key } = byOthers
  return {
    ...GARBAGE,
    'a plain hello': saying(hello),
    'a replayed handshake': saying(() => sent),
    'a replay in drips': dripping(() => sent),
    'no certificate': overTls({}, hello()),
    'no certificate, and silence': overTls({}, null),
    'a certificate of another CA': overTls({ cert, key }, hello()),
    'an older TLS': overTls({ maxVersion: 'TLSv1.2', cert, key }, hello()),
  }
}

const REQUESTS: Readonly<Record<string, string>> = {
  status: 'GET /status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  members: `GET /members HTTP/1.1\r\nhost: localhost\r\n${GUESS}connection: close\r\n\r\n`,
  export: `GET /export/main HTTP/1.1\r\nhost: localhost\r\n${GUESS}connection: close\r\n\r\n`,
  readiness: 'GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n',
  paths: 'GET /docs/..%2f..%2fidentity.json HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  upgrade: 'GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\n\r\n',
  pipeline: `${HEAD}${GUESS}connection: close\r\ncontent-length: ${BODY.length}\r\n\r\n${BODY}`,
  'large head': `${HEAD}x: ${'x'.repeat(100_000)}\r\n\r\n`,
  'endless body': `${HEAD}transfer-encoding: chunked\r\n\r\nfff\r\n`,
}

/** At the HTTP server, which speaks TLS or not; it wants a token. */
export function atHttp(isSecure: boolean): Readonly<Record<string, Stranger>> {
  const asked = Object.entries(REQUESTS).map(
    ([name, request]) => [name, isSecure ? overTls({}, request) : saying(() => request)] as const,
  )
  const head = Buffer.from(REQUESTS['status'] as string)
  return {
    silent: dial,
    'random bytes': saying(() => randomBytes(3_000)),
    'HTTP/2': saying(() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    drips: dripping(() => head),
    ...(isSecure ? { 'TLS, and silence': overTls({}, null) } : {}),
    ...Object.fromEntries(asked),
  }
}
