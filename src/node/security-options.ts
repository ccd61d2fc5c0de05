import { ColmenaError } from '../base/errors.ts'
import type { TransportSecurity } from '../transport/transport.ts'
import { invalid, isString } from './option-checks.ts'
import { checkTls } from './tls-options.ts'

const SECRET_BYTES_MIN = 16

/**
 * How connections between nodes are protected.
 *
 * @throws ColmenaError ERR_INVALID_OPTION, ERR_WEAK_SECRET
 */
export function checkSecurity({
  secret,
  tls,
}: {
  readonly secret?: unknown
  readonly tls?: unknown
}): TransportSecurity {
  if (secret !== undefined && tls !== undefined) {
    throw invalid(
      'secret and tls are two ways to protect connections: pass one of them, the same on all nodes',
    )
  }
  if (tls !== undefined) return Object.freeze(checkTls(tls))
  if (secret !== undefined) return Object.freeze({ kind: 'psk', secrets: checkSecrets(secret) })
  return Object.freeze({ kind: 'plaintext' })
}

function checkSecrets(secret: unknown): readonly string[] {
  const secrets: unknown = typeof secret === 'string' ? [secret] : secret
  if (!Array.isArray(secrets) || secrets.length === 0 || !secrets.every(isString)) {
    throw invalid('secret must be a string, or a list of at least one, newest first')
  }
  for (const one of secrets) {
    const sizeBytes = Buffer.byteLength(one)
    if (sizeBytes >= SECRET_BYTES_MIN) continue
    throw new ColmenaError(
      'ERR_WEAK_SECRET',
      `a secret of ${sizeBytes} bytes can be guessed: pass at least ${SECRET_BYTES_MIN} random ` +
        "bytes, such as those of crypto.randomBytes(24).toString('base64')",
    )
  }
  return Object.freeze([...secrets])
}
