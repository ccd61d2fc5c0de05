import { promises as dns, type SrvRecord } from 'node:dns'
import { checkNotAborted, discoveryFailed } from './discovery.ts'
import { checkText, invalidOption } from './options.ts'

/** A DNS server is asked so often, and each time for so long. */
const TRIES = 2
const TRY_MS = 1_500
/** All questions of one look-up together. */
const LOOKUP_MS_MAX = 6_000

/** What a DNS says where it is well and has nothing: nobody is there, or nobody yet. */
const NOTHING: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA', 'NXDOMAIN'])

export interface LookupsOptions {
  /** `host` or `host:port` of DNS servers; those of the system without. */
  readonly servers: readonly string[] | undefined
  readonly signal: AbortSignal
}

/**
 * Questions to a DNS that belong together: they end by one deadline and one signal. A name that
 * does not exist has no records; a server that does not answer is a failure.
 */
export class Lookups {
  readonly #resolver = new dns.Resolver({ timeout: TRY_MS, tries: TRIES })
  readonly #signal: AbortSignal
  readonly #ending: AbortSignal

  constructor({ servers, signal }: LookupsOptions) {
    checkNotAborted(signal)
    if (servers !== undefined) this.#resolver.setServers(servers)
    this.#signal = signal
    this.#ending = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP_MS_MAX)])
    this.#ending.addEventListener('abort', () => this.#resolver.cancel(), { once: true })
  }

  /** All addresses of a name, IPv6 and IPv4; one kind does where the other can't be asked for. */
  async hosts(name: string): Promise<readonly string[]> {
    const answers = await Promise.allSettled([this.hosts6(name), this.hosts4(name)])
    const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
    const failed = answers.find((answer) => answer.status === 'rejected')
    if (found.length === 0 && failed !== undefined) throw failed.reason
    return found
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
  const example = "'10.96.0.10' or '[::1]:53'"
  if (!Array.isArray(servers) || servers.length === 0) {
    throw invalidOption(`servers is no list, or an empty one; it must be of such as ${example}`)
  }
  for (const server of servers) checkText('servers', server, /^[0-9A-Fa-f.:[\]]+$/, example)
  try {
    new dns.Resolver().setServers(servers)
  } catch (error) {
    const { message } = error as Error
    throw invalidOption(`servers is ${servers.join(', ')}: ${message}; each must be as ${example}`)
  }
  return servers
}
