import { constants, scrypt } from 'node:crypto'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { ColmenaError } from '../base/errors.ts'
import { readValidity, type Validity } from './certificate-watch.ts'
import { type Credential, PeerCertificate } from './peer-certificate.ts'
import type { TransportSecurity } from './port.ts'

type CertificateSecurity = Extract<TransportSecurity, { kind: 'tls' }>

/**
 * No session is ever resumed: it would pass over the certificate, and outlive a rotation. Without
 * tickets OpenSSL keeps sessions in a cache, and Node.js gives it none.
 */
const NO_RESUMPTION = constants.SSL_OP_NO_TICKET

/**
 * TLS 1.2, because a handshake with an external key over TLS 1.3 never ends on Node.js 24. The
 * suite gives forward secrecy: a secret that leaks later opens no recorded traffic.
 */
const SECRET_OPTIONS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  secureOptions: NO_RESUMPTION,
} as const

/**
 * TLS 1.3, which shows certificates to nobody who only listens. That a peer's is good is judged in
 * {@link PeerCertificate} and nowhere else: Node.js would close the socket, and neither side
 * would learn why. What `ca` lists is trusted as it stands, also where another CA has signed it.
 */
const CERTIFICATE_OPTIONS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  secureOptions: NO_RESUMPTION,
  requestCert: true,
  rejectUnauthorized: false,
  allowPartialTrustChain: true,
} as const

const SECRET_BYTES_MIN = 16
const KEY_BYTES = 32
const KEY_ID_BYTES = 8

/** Of whom a secret has let in, or of anybody in plaintext. */
const NONE_NEEDED: Credential = { check: () => null }

interface PresharedKey {
  readonly identity: string
  readonly key: Buffer
}

/**
 * Makes what the options ask for. `done` is never called within this call; `ERR_WEAK_SECRET` is a
 * secret's error, `ERR_INVALID_OPTION` a certificate's.
 */
export function createSecurity(
  options: TransportSecurity,
  done: (error: ColmenaError | null, security: Security | null) => void,
): void {
  const fault = options.kind === 'psk' ? findWeakSecret(options.secrets) : null
  if (options.kind !== 'psk' || fault !== null) {
    process.nextTick(() => {
      if (fault !== null) done(fault, null)
      else createWithoutKeys(options, done)
    })
    return
  }
  const keys: PresharedKey[] = []
  const deriveNext = (): void => {
    const secret = options.secrets[keys.length]
    if (secret === undefined) {
      done(null, new Security(options, keys))
      return
    }
    deriveKey(secret, (error, key) => {
      if (key === null) {
        done(new ColmenaError('ERR_FAILED', `scrypt failed: ${error?.message}`), null)
        return
      }
      keys.push(key)
      deriveNext()
    })
  }
  deriveNext()
}

function createWithoutKeys(
  options: TransportSecurity,
  done: (error: ColmenaError | null, security: Security | null) => void,
): void {
  let security: Security
  try {
    security = new Security(options, [])
  } catch (cause) {
    const message = `the certificates can't be used: ${(cause as Error).message}`
    done(new ColmenaError('ERR_INVALID_OPTION', message, { cause }), null)
    return
  }
  done(null, security)
}

function findWeakSecret(secrets: readonly string[]): ColmenaError | null {
  if (secrets.length === 0)
    return new ColmenaError('ERR_WEAK_SECRET', 'the list of secrets is empty')
  for (const secret of secrets) {
    if (Buffer.byteLength(secret) >= SECRET_BYTES_MIN) continue
    const message =
      `a secret has ${Buffer.byteLength(secret)} bytes, ` +
      `at least ${SECRET_BYTES_MIN} are needed`
    return new ColmenaError('ERR_WEAK_SECRET', message)
  }
  return null
}

/**
 * Key and key id of one secret. The id travels in the clear, so it must not be a quick hash of the
 * secret: whoever records it could try passphrases against it. One scrypt gives both, and costs
 * about 50 ms; a thread of Node.js's own pays for it, since a rotation must not hold up heartbeats.
 */
function deriveKey(
  secret: string,
  done: (error: Error | null, key: PresharedKey | null) => void,
): void {
  scrypt(secret, 'colmena transport key 1', KEY_BYTES + KEY_ID_BYTES, (error, derived) => {
    if (error !== null) {
      done(error, null)
      return
    }
    const id = derived.subarray(KEY_BYTES).toString('hex')
    done(null, { identity: `colmena-1-${id}`, key: derived.subarray(0, KEY_BYTES) })
  })
}

/** Wraps sockets in what the security options ask for, and says who may stay. */
export class Security {
  readonly kind: TransportSecurity['kind']
  /** Of certificates; null without any. */
  readonly validity: Validity | null
  readonly #keys: readonly PresharedKey[]
  readonly #certificates: CertificateSecurity | null
  /** Made once: reading certificates at each dial would cost more than the handshake. */
  readonly #clientContext: tls.SecureContext | null

  /** For {@link createSecurity}, with one key per secret. @throws what OpenSSL says */
  constructor(options: TransportSecurity, keys: readonly PresharedKey[]) {
    this.kind = options.kind
    this.#keys = keys
    this.#certificates = options.kind === 'tls' ? options : null
    this.#clientContext =
      options.kind === 'tls'
        ? tls.createSecureContext({ ...CERTIFICATE_OPTIONS, ...pickCertificates(options) })
        : null
    this.validity = options.kind === 'tls' ? readValidity(options) : null
  }

  /** How many secrets a dialer can try; 1 without any. */
  get keyCount(): number {
    return Math.max(1, this.#keys.length)
  }

  /** A server that does no listening of its own: accepted sockets are handed to it. */
  createServer(handshakeTimeoutMs: number): tls.Server {
    if (this.#certificates !== null) {
      return tls.createServer({
        ...CERTIFICATE_OPTIONS,
        ...pickCertificates(this.#certificates),
        handshakeTimeout: handshakeTimeoutMs,
      })
    }
    return tls.createServer({
      ...SECRET_OPTIONS,
      handshakeTimeout: handshakeTimeoutMs,
      pskCallback: (_socket, identity) =>
        this.#keys.find((known) => known.identity === identity)?.key ?? null,
    })
  }

  /** The dialer's side of TLS over `raw`, with the secret of this number if there are any. */
  wrap(raw: Socket, keyIndex: number): tls.TLSSocket {
    // Only who has the key can finish the handshake; and a certificate has the node's id, which is
    // not known yet, in place of a host's name.
    const checkServerIdentity = (): undefined => undefined
    if (this.#clientContext !== null) {
      const secureContext = this.#clientContext
      return tls.connect({
        ...CERTIFICATE_OPTIONS,
        socket: raw,
        secureContext,
        checkServerIdentity,
      })
    }
    const { identity, key } = this.#keys[keyIndex] as PresharedKey
    return tls.connect({
      ...SECRET_OPTIONS,
      socket: raw,
      checkServerIdentity,
      pskCallback: () => ({ psk: key, identity }),
    })
  }

  /** What whoever is at the other end of a finished TLS handshake has shown: judge it first. */
  readCredential(socket: Socket): Credential {
    return this.#certificates === null ? NONE_NEEDED : new PeerCertificate(socket as tls.TLSSocket)
  }
}

function pickCertificates({ ca, cert, key }: CertificateSecurity): tls.SecureContextOptions {
  return { ca, cert, key }
}
