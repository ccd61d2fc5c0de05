import { ColmenaError } from '../base/errors.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

const BRACKETED = /^\[([0-9a-fA-F:.]+(?:%[\w.-]+)?)\]:(\d{1,5})$/
const PLAIN = /^([^\s:/[\]]*):(\d{1,5})$/
const PORT_MAX = 65_535

/**
 * Reads `host:port` of the option `name`; an IPv6 host stands in brackets, and no host at all is
 * every interface.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export function parseHostPort(text: unknown, name: string): HostPort {
  if (typeof text === 'string') {
    const match = BRACKETED.exec(text) ?? PLAIN.exec(text)
    const port = Number(match?.[2])
    if (match !== null && port <= PORT_MAX) return { host: match[1] || '0.0.0.0', port }
  }
  throw new ColmenaError(
    'ERR_INVALID_OPTION',
    `${name} is ${JSON.stringify(text)}, which is no address: write 'host:port', with an IPv6 ` +
      "host as '[::1]:9000'",
  )
}

/** The opposite of {@link parseHostPort}. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Whether every interface is meant, so that no peer could dial it. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || /^[0:]+$/.test(host)
}

/** Whether only this machine can reach it. */
export function isLoopback(host: string): boolean {
  const plain = host.toLowerCase()
  return (
    plain === 'localhost' ||
    plain === '::1' ||
    /^(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(plain)
  )
}
