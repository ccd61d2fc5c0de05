import { promises as dns, type SrvRecord } from 'node:dns'
import {
  ADDRESSES_MAX,
  checkNotAborted,
  type Discovery,
  discoveryClosed,
  discoveryFailed,
  type FindOptions,
  type Found,
} from './discovery.ts'
import { invalidOption } from './options.ts'

/** A DNS server is asked so often, and each time for so long. */
const TRIES = 2
const TRY_MS = 1_500
/** All questions of one look-up together. */
const LOOKUP_MS_MAX = 6_000

/** What a DNS says where it is well and has nothing: nobody is there, or nobody yet. */
const NOTHING: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA', 'NXDOMAIN'])

export interface DnsOptions {
  /** `host` or `host:port` of DNS servers; those of the system without. */
  readonly servers: readonly string[] | undefined
  /** Where nodes are by the answers, perhaps some of them twice. */
  readonly lookUp: (lookups: Lookups) => Promise<readonly string[]>
}

/** Nodes that a DNS knows. Whoever runs the DNS announces and forgets them. */
export class DnsKnown implements Discovery {
  readonly #options: DnsOptions
  readonly #end = new AbortController()

  constructor(options: DnsOptions) {
    this.#options = options
  }

  async announce(): Promise<void> {
    if (this.#end.signal.aborted) throw discoveryClosed()
  }

  async find({ signal }: FindOptions): Promise<Found> {
    if (this.#end.signal.aborted) throw discoveryClosed()
    checkNotAborted(signal)
    const { servers, lookUp } = this.#options
    const lookups = new Lookups(servers, AbortSignal.any([signal, this.#end.signal]))
    try {
      const all = [...new Set(await lookUp(lookups))]
      const isAll = lookups.isComplete && all.length <= ADDRESSES_MAX
      return { addresses: all.slice(0, ADDRESSES_MAX), isAll }
    } catch (error) {
      throw this.#end.signal.aborted && !signal.aborted ? discoveryClosed() : error
    }
  }

  async close(): Promise<void> {
    this.#end.abort()
  }
}

/**
 * Questions to a DNS that belong together: they end by one deadline and one signal. A name that
 * does not exist has no records; a server that does not answer is a failure.
 */
export class Lookups {
  readonly #resolver = new dns.Resolver({ timeout: TRY_MS, tries: TRIES })
  readonly #signal: AbortSignal
  readonly #ending: AbortSignal
  /** Whether all that was to be asked was asked, and answered. */
  isComplete = true

  constructor(servers: readonly string[] | undefined, signal: AbortSignal) {
    if (servers !== undefined) this.#resolver.setServers(servers)
    this.#signal = signal
    this.#ending = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_MS_MAX)])
    this.#ending.addEventListener('abort', () => this.#resolver.cancel(), { once: true })
  }

  /**
   * What one question for each of `names` finds, at most `countMax` of them; what fails is left out
   * where another one finds something.
   */
  async each<T, R>(
    names: readonly T[],
    countMax: number,
    ask: (name: T) => Promise<readonly R[]>,
  ): Promise<readonly R[]> {
    if (names.length > countMax) this.isComplete = false
    const answers = await Promise.allSettled(names.slice(0, countMax).map(ask))
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    const failed = answers.find((answer) => answer.status === 'rejected')
    if (found.length === 0 && failed !== undefined) throw failed.reason
    return found
  }

  /** All addresses of a name, IPv6 and IPv4; one kind does where the other can't be asked for. */
  hosts(name: string): Promise<readonly string[]> {
    const kinds = [this.hosts6, this.hosts4]
    return this.each(kinds, kinds.length, (ask) => ask.call(this, name))
  }

  hosts6(name: string): Promise<readonly string[]> {
    return this.#ask('AAAA', name, () => this.#resolver.resolve6(name))
  }

  hosts4(name: string): Promise<readonly string[]> {
    return this.#ask('A', name, () => this.#resolver.resolve4(name))
  }

  services(name: string): Promise<readonly SrvRecord[]> {
    return this.#ask('SRV', name, () => this.#resolver.resolveSrv(name))
  }

  /** Each text with its parts joined. */
  async texts(name: string): Promise<readonly string[]> {
    const records = await this.#ask('TXT', name, () => this.#resolver.resolveTxt(name))
    return records.map((parts) => parts.join(''))
  }

  async #ask<T>(type: string, name: string, ask: () => Promise<T[]>): Promise<readonly T[]> {
    checkNotAborted(this.#signal)
    try {
      // A resolver forgets to be cancelled: what is asked afterwards would go on.
      if (this.#ending.aborted) throw this.#ending.reason
      return await ask()
    } catch (error) {
      const { code = 'no answer' } = error as NodeJS.ErrnoException
      if (NOTHING.has(code)) return []
      this.isComplete = false
      checkNotAborted(this.#signal)
      const reason = this.#ending.aborted ? `no answer within ${LOOKUP_MS_MAX} ms` : code
      throw discoveryFailed(`the DNS could not be asked for ${type} of '${name}': ${reason}`, error)
    }
  }
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkServers(
  servers: readonly string[] | undefined,
): readonly string[] | undefined {
  if (servers === undefined) return undefined
  try {
    if (servers.length === 0) throw new Error('there is none')
    new dns.Resolver().setServers(servers)
    return servers
  } catch (cause) {
    const shown = JSON.stringify(servers)
    throw invalidOption(`servers is ${shown}; each must be as '10.96.0.10' or '[::1]:53': ${cause}`)
  }
}
