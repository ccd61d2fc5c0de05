import type { TransportSecurity } from '../transport/transport.ts'
import { formatHostPort, type HostPort, isLoopback, isWildcard, parseHostPort } from './address.ts'
import { checkBoolean, checkInteger, invalid, show, TIMER_MS_MAX } from './option-checks.ts'
import type { JoinSource } from './options.ts'
import { checkSecurity } from './security-options.ts'

/** The part of a node's config that has to do with others. */
export interface NetworkConfig {
  readonly bind: HostPort | null
  /** '' without network. */
  readonly advertise: string
  /** undefined: neither was asked for, which only does where state exists. */
  readonly genesis: 'bootstrap' | 'join' | undefined
  readonly joinAddresses: readonly string[]
  readonly joinSource: JoinSource | undefined
  /** undefined: this node never begins a cluster with others. */
  readonly expectedVoters: number | undefined
  readonly discoveryWindowMs: number
  readonly security: TransportSecurity
}

/** Where a node listens, whom it joins, and how that is protected. */
export function checkNetwork(options: Record<string, unknown>): NetworkConfig {
  const security = checkSecurity(options)
  const insecure = checkBoolean(options, 'insecure') ?? false
  const bootstrap = checkBoolean(options, 'bootstrap')
  const { join } = options
  const joinSource = typeof join === 'function' ? (join as JoinSource) : undefined
  const joinAddresses = joinSource === undefined ? checkJoin(join) : []
  if (bootstrap === true && join !== undefined) {
    throw invalid(
      'bootstrap begins a new cluster and join enters one that exists: pass one of them, ' +
        'bootstrap on the first node and join on the others',
    )
  }
  const discoveryWindowMs = checkInteger(options, 'discoveryWindowMs', 50, TIMER_MS_MAX)
  const expectedVoters = checkExpected(options)
  const ways = { joinAddresses, joinSource, expectedVoters, discoveryWindowMs, security }
  if (options['bind'] === undefined) {
    checkNoNetwork(options)
    return { bind: null, advertise: '', genesis: 'bootstrap', ...ways }
  }
  const bind = parseHostPort(options['bind'], 'bind')
  checkReach(bind, security, insecure)
  const genesis = bootstrap ? 'bootstrap' : join === undefined ? undefined : 'join'
  return { bind, advertise: checkAdvertise(options, bind), genesis, ...ways }
}

function checkExpected(options: Record<string, unknown>): number | undefined {
  if (options['expectedVoters'] === undefined) return undefined
  if (options['join'] !== undefined) return checkInteger(options, 'expectedVoters', 1, 1000)
  throw invalid(
    'expectedVoters lets nodes that find each other through join begin a cluster: pass join as ' +
      'well, on all of them, and no bootstrap',
  )
}

function checkNoNetwork(options: Record<string, unknown>): void {
  const needless = (['advertise', 'join'] as const).find((name) => options[name] !== undefined)
  if (needless === undefined) return
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
    throw invalid(
      `join is ${show(join)}; it must be an address, a list of at least one, or a function that ` +
        'resolves to one',
    )
  }
  return addresses.map((address) => formatHostPort(parseHostPort(address, 'join')))
}
