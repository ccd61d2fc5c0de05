import { isIP } from 'node:net'

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1'])
const EVERY_INTERFACE: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/**
 * Why a request is refused, null if it may come in. Pages of other origins could reach this machine
 * through the browser of whoever sits at it: by a form, or by a name of their own that leads here.
 */
export function refusalOf(
  names: readonly string[],
  host: string | undefined,
  origin: string | undefined,
): string | null {
  const url = readHost(host)
  if (url === null || !isOurs(url.hostname.replace(/^\[(.*)\]$/, '$1'), names)) {
    return `this demo does not answer to the host '${host ?? ''}': use the address it printed`
  }
  if (origin === undefined || URL.parse(origin)?.host === url.host) return null
  return `requests from the origin '${origin}' are refused: only the demo's own page may ask`
}

function isOurs(name: string, names: readonly string[]): boolean {
  if (LOOPBACK.has(name) || names.includes(name)) return true
  // A page can have a foreign name lead here, but not a bare address.
  return names.some((own) => EVERY_INTERFACE.has(own)) && isIP(name) !== 0
}

/** A Host header as a URL, which knows the usual port; null if it is no host. */
function readHost(host: string | undefined): URL | null {
  const url = host === undefined ? null : URL.parse(`http://${host}`)
  return url === null || url.pathname !== '/' || url.username !== '' ? null : url
}
