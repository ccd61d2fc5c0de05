import { ColmenaError } from '../base/errors.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

const BRACKETED = /^\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]:(\d{1,5})$/
const PLAIN = /^([^\s:/[\]]+):(\d{1,5})$/

/**
 * Reads `host:port`; an IPv6 host stands in brackets, `[::1]:9000`.
 *
 * @throws ColmenaError `ERR_INVALID_ARGUMENT`
 */
export function parseAddress(text: string): Address {
  const match = BRACKETED.exec(text) ?? PLAIN.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) {
    throw new ColmenaError(
      'ERR_INVALID_ARGUMENT',
      `'${text}' is not an address: write 'host:port', with an IPv6 host as '[::1]:9000'`,
    )
  }
  return { host: match[1] as string, port }
}

/** The opposite of {@link parseAddress}. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
