import { createHash, timingSafeEqual } from 'node:crypto'
import { ColmenaError } from '../index.ts'
import type { Right } from './options.ts'

export const RIGHTS: readonly Right[] = ['read', 'write', 'admin']
const TOKEN_BYTES_MIN = 16

/** Whether `right` holds `needed`. */
export function includesRight(right: Right, needed: Right): boolean {
  return RIGHTS.indexOf(right) >= RIGHTS.indexOf(needed)
}

/** Says what the bearer token of a request may do, null where there is none that is known. */
export type ReadToken = (request: Request) => Right | null

/**
 * Tokens are compared by their hashes and all of them each time, so that how long it takes tells
 * nothing about any of them.
 *
 * @throws ColmenaError ERR_WEAK_SECRET
 */
export function createTokenReader(tokens: Readonly<Record<string, Right>>): ReadToken {
  const known = Object.entries(tokens).map(([token, right]) => {
    checkTokenLength(token)
    return { hash: hashToken(token), right }
  })
  return (request) => {
    const [, token] = /^bearer +(\S+) *$/i.exec(request.headers.get('authorization') ?? '') ?? []
    if (token === undefined) return null
    const hash = hashToken(token)
    let found: Right | null = null
    for (const { hash: other, right } of known) if (timingSafeEqual(hash, other)) found = right
    return found
  }
}

function checkTokenLength(token: string): void {
  const sizeBytes = Buffer.byteLength(token)
  if (sizeBytes >= TOKEN_BYTES_MIN) return
  throw new ColmenaError(
    'ERR_WEAK_SECRET',
    `a token of ${sizeBytes} bytes can be guessed: pass at least ${TOKEN_BYTES_MIN} random ` +
      "bytes, such as those of crypto.randomBytes(24).toString('base64url')",
  )
}

function hashToken(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}
