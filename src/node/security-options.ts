import { ColmenaError } from '../base/errors.ts'
import { invalid, isString } from './option-checks.ts'

const SECRET_BYTES_MIN = 16

export function checkSecrets(secret: unknown): readonly string[] {
  if (secret === undefined) return []
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
