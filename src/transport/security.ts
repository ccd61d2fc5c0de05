import { scryptSync } from 'node:crypto'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import { ColmenaError } from '../base/errors.ts'
import type { TransportSecurity } from './port.ts'

/**
 * TLS 1.2, because a handshake with an external key over TLS 1.3 never ends on Node.js 24. The
 * suite gives forward secrecy: a secret that leaks later opens no recorded traffic.
 */
const TLS_OPTIONS = {
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
} as const

const SECRET_BYTES_MIN = 16
const KEY_BYTES = 32
const KEY_ID_BYTES = 8

interface PresharedKey {
  readonly identity: string
  readonly key: Buffer
}

/**
 * Key and key id of one secret. The id travels in the clear, so it must not be a quick hash of the
 * secret: whoever records it could try passphrases against it. One scrypt gives both, and costs
 * about 50 ms once per secret at start.
 */
function deriveKey(secret: string): PresharedKey {
  const derived = scryptSync(secret, 'colmena transport key 1', KEY_BYTES + KEY_ID_BYTES)
  const id = derived.subarray(KEY_BYTES).toString('hex')
  return { identity: `colmena-1-${id}`, key: derived.subarray(0, KEY_BYTES) }
}

/** Wraps sockets in what the security options ask for. */
export class Security {
  readonly #keys: readonly PresharedKey[]
  readonly #isPlaintext: boolean

  /** @throws ColmenaError `ERR_WEAK_SECRET` */
  constructor(options: TransportSecurity) {
    this.#isPlaintext = options.kind === 'plaintext'
    const secrets = options.kind === 'psk' ? options.secrets : []
    if (options.kind === 'psk' && secrets.length === 0) {
      throw new ColmenaError('ERR_WEAK_SECRET', 'the list of secrets is empty')
    }
    for (const secret of secrets) {
      if (Buffer.byteLength(secret) >= SECRET_BYTES_MIN) continue
      throw new ColmenaError(
        'ERR_WEAK_SECRET',
        `a secret has ${Buffer.byteLength(secret)} bytes, at least ${SECRET_BYTES_MIN} are needed`,
      )
    }
    this.#keys = secrets.map(deriveKey)
  }

  get isPlaintext(): boolean {
    return this.#isPlaintext
  }

  /** How many secrets a dialer can try; 1 without any. */
  get keyCount(): number {
    return Math.max(1, this.#keys.length)
  }

  /** A server that does no listening of its own: accepted sockets are handed to it. */
  createServer(handshakeTimeoutMs: number): tls.Server {
    return tls.createServer({
      ...TLS_OPTIONS,
      handshakeTimeout: handshakeTimeoutMs,
      pskCallback: (_socket, identity) =>
        this.#keys.find((known) => known.identity === identity)?.key ?? null,
    })
  }

  /** The dialer's side of TLS over `raw`, with the secret of this number. */
  wrap(raw: Socket, keyIndex: number): tls.TLSSocket {
    const { identity, key } = this.#keys[keyIndex] as PresharedKey
    return tls.connect({
      ...TLS_OPTIONS,
      socket: raw,
      // There is no certificate to check: only who has the key can finish the handshake.
      checkServerIdentity: () => undefined,
      pskCallback: () => ({ psk: key, identity }),
    })
  }
}

/** Whether a TLS failure means that the two sides have no secret in common. */
export function isSecretMismatch(error: NodeJS.ErrnoException): boolean {
  return /PSK_IDENTITY|BAD_RECORD_MAC|DECRYPT/.test(error.code ?? '')
}
