import { once } from 'node:events'
import { createServer, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { toAddress } from './discovery.ts'
import { invalidOption } from './options.ts'

export interface OwnAddress {
  /** With the port that is really listened on. */
  readonly bind: string
  /** What the others dial. */
  readonly advertise: string
}

/**
 * Where this node listens and is found, before it listens: others have to find it in order to take
 * it in. What is bound to every interface is found at the first one beyond loopback.
 *
 * @throws ColmenaError ERR_INVALID_OPTION
 */
export async function findOwnAddress(
  bind: string,
  advertise: string | undefined,
): Promise<OwnAddress> {
  const [host, given] = splitAddress('bind', bind)
  const port = given === 0 ? await freePort(host) : given
  const bound = toAddress(host, port)
  if (advertise !== undefined) {
    const [name, announced] = splitAddress('advertise', advertise)
    return { bind: bound, advertise: toAddress(name, announced === 0 ? port : announced) }
  }
  if (host === '0.0.0.0') return { bind: bound, advertise: toAddress(firstHost('IPv4'), port) }
  if (/^[0:]+$/.test(host)) return { bind: bound, advertise: toAddress(firstHost('IPv6'), port) }
  return { bind: bound, advertise: bound }
}

/** Every IP address of this machine, loopback among them. */
export function ownHosts(): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return [...new Set(all.map(({ address }) => address))]
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function splitAddress(name: string, address: string): readonly [string, number] {
  const match = /^(?:\[([0-9a-fA-F:.%\w-]+)\]|([^\s:/[\]]*)):(\d{1,5})$/.exec(address)
  const port = Number(match?.[3])
  if (match === null || port > 65_535 || (match[1] !== undefined && !isIPv6(match[1]))) {
    throw invalidOption(
      `${name} is ${JSON.stringify(address)}, which is no address: write 'host:port', with an ` +
        "IPv6 host as '[::1]:9000'",
    )
  }
  return [match[1] ?? (match[2] || '0.0.0.0'), port]
}

/** Who listens by IPv6 is reached by IPv4 as well, which fewer networks lack. */
function firstHost(family: 'IPv4' | 'IPv6'): string {
  const beyond = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0)
  const found =
    beyond.find((one) => one.family === 'IPv4') ??
    (family === 'IPv6' ? beyond.find((one) => one.family === 'IPv6') : undefined)
  if (found !== undefined) return found.address
  throw invalidOption(
    `no network interface has an ${family} address that others could dial: ` +
      "pass advertise: 'host:port'",
  )
}

/** One that nobody listens on just now. */
async function freePort(host: string): Promise<number> {
  const server = createServer()
  server.listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as { readonly port: number }
  server.close()
  await once(server, 'close')
  return port
}
