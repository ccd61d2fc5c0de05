import { BlockList, isIPv4, isIPv6 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can be meant; takes an IPv6 address with and without brackets. */
export function isLoopbackHost(host: string): boolean {
  const plain = host.replace(/^\[(.*)\]$/, '$1')
  if (isIPv4(plain)) return loopback.check(plain, 'ipv4')
  if (isIPv6(plain)) return loopback.check(plain, 'ipv6')
  return plain.toLowerCase() === 'localhost'
}

/** As it stands in an address: an IPv6 host in brackets. */
export function formatUrlHost(host: string): string {
  return isIPv6(host) ? `[${host}]` : host
}

/**
 * Whether a page of another site sent this: browsers say so, and no page can make them lie. What
 * no browser sent says nothing, and is not meant.
 */
export function isForeignOrigin(request: Request, origins: ReadonlySet<string>): boolean {
  const origin = request.headers.get('origin')
  if (origin === null || origins.has(origin)) return false
  // A proxy may have ended TLS, so the scheme is not compared.
  return URL.parse(origin)?.host !== new URL(request.url).host
}
