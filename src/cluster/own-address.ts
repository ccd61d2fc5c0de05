import { once } from 'node:events'
import { createServer, isIPv6 } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { toAddress } from './discovery.ts'
import { invalidOption } from './options.ts'

type Interfaces = ReturnType<typeof networkInterfaces>

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

/** Every interface, as `bind` has it: by IPv4, or by IPv6 where there is nothing else. */
export function everyInterface(port: number, interfaces: Interfaces = networkInterfaces()): string {
  const beyond = addressesBeyond(interfaces)
  const isSix = beyond.length > 0 && beyond.every(({ family }) => family === 'IPv6')
  return toAddress(isSix ? '::' : '0.0.0.0', port)
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
  const beyond = addressesBeyond(networkInterfaces())
  const found =
    beyond.find((one) => one.family === 'IPv4') ??
    (family === 'IPv6' ? beyond.find((one) => one.family === 'IPv6') : undefined)
  if (found !== undefined) return found.address
  throw invalidOption(
    `no network interface has an ${family} address that others could dial: ` +
      "pass advertise: 'host:port'",
  )
}

/** Those that other machines could dial. */
function addressesBeyond(interfaces: Interfaces): readonly NetworkInterfaceInfo[] {
  return Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0)
}

/** One that nobody listens on just now. */
async function freePort(host: string): Promise<number> {
  const server = createServer()
  server.listen(0, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const { message } = error as Error
    throw invalidOption(`bind is ${JSON.stringify(toAddress(host, 0))}: ${message}`)
  }
  const { port } = server.address() as { readonly port: number }
  server.close()
  await once(server, 'close')
  return port
}
