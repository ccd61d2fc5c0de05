import type { TransportSecurity } from '../transport/transport.ts'
import { formatHostPort, type HostPort, isLoopback, isWildcard, parseHostPort } from './address.ts'
import { checkBoolean, invalid, show } from './option-checks.ts'
import { checkSecurity } from './security-options.ts'

/** The part of a node's config that has to do with others. */
export interface NetworkConfig {
  readonly bind: HostPort | null
  /** '' without network. */
  readonly advertise: string
  /** undefined: neither was asked for, which only does where state exists. */
  readonly genesis: 'bootstrap' | 'join' | undefined
  readonly joinAddresses: readonly string[]
  readonly security: TransportSecurity
}

/** Where a node listens, whom it joins, and how that is protected. */
export function checkNetwork(options: Record<string, unknown>): NetworkConfig {
  const security = checkSecurity(options)
  const insecure = checkBoolean(options, 'insecure') ?? false
  const bootstrap = checkBoolean(options, 'bootstrap')
  const joinAddresses = checkJoin(options['join'])
  if (bootstrap === true && joinAddresses.length > 0) {
    throw invalid(
      'bootstrap begins a new cluster and join enters one that exists: pass one of them, ' +
        'bootstrap on the first node and join on the others',
    )
  }
  if (options['bind'] === undefined) {
    checkNoNetwork(options, joinAddresses)
    return { bind: null, advertise: '', genesis: 'bootstrap', joinAddresses, security }
  }
  const bind = parseHostPort(options['bind'], 'bind')
  checkReach(bind, security, insecure)
  const genesis = bootstrap ? 'bootstrap' : joinAddresses.length > 0 ? 'join' : undefined
  return { bind, advertise: checkAdvertise(options, bind), genesis, joinAddresses, security }
}

function checkNoNetwork(options: Record<string, unknown>, joinAddresses: readonly string[]): void {
  const needless = options['advertise'] !== undefined ? 'advertise' : 'join'
  if (needless === 'join' && joinAddresses.length === 0) return
  throw invalid(`${needless} is of use only with bind: pass bind: 'host:port' to listen on as well`)
}

function checkReach(bind: HostPort, { kind }: TransportSecurity, insecure: boolean): void {
  if (kind === 'tls' && insecure) {
    throw invalid('insecure allows plaintext, and tls is none: leave insecure out')
  }
  if (kind !== 'plaintext' || insecure || isLoopback(bind.host)) return
  throw invalid(
    `bind '${formatHostPort(bind)}' can be reached from other machines, and there is no secret: ` +
      'pass secret (at least 16 random bytes, the same on all nodes) or tls (certificates of ' +
      'your own CA), or, if everyone who reaches that port may own the data, insecure: true',
  )
}

function checkAdvertise(options: Record<string, unknown>, bind: HostPort): string {
  if (options['advertise'] !== undefined) {
    const advertise = parseHostPort(options['advertise'], 'advertise')
    if (!isWildcard(advertise.host)) return formatHostPort(advertise)
    throw invalid(`advertise '${formatHostPort(advertise)}' is no address that peers could dial`)
  }
  if (!isWildcard(bind.host)) return formatHostPort(bind)
  throw invalid(
    `bind '${formatHostPort(bind)}' means every interface, so peers would not know what to dial: ` +
      "pass advertise: 'host:port' as well",
  )
}

function checkJoin(join: unknown): readonly string[] {
  if (join === undefined) return []
  const addresses = typeof join === 'string' ? [join] : join
  if (!Array.isArray(addresses) || addresses.length === 0) {
    throw invalid(`join is ${show(join)}; it must be an address, or a list of at least one`)
  }
  return addresses.map((address) => formatHostPort(parseHostPort(address, 'join')))
}
