import {
  ADDRESSES_MAX,
  type Discovery,
  discoveryClosed,
  type FindOptions,
  Lookups,
  toAddress,
} from '../cluster/cluster.ts'

export interface DnsDiscoveryOptions {
  /** A name with A and AAAA records; one that begins with `_` has SRV records, with ports. */
  readonly name: string
  /** Of all nodes, where the name has no ports. */
  readonly port: number
  readonly servers: readonly string[] | undefined
}

/** Hosts of one look-up whose addresses are asked for at once. */
const TARGETS_MAX = 64

/** Nodes that a DNS knows under one name. Whoever runs the DNS announces and forgets them. */
export class DnsDiscovery implements Discovery {
  readonly #options: DnsDiscoveryOptions
  readonly #end = new AbortController()

  constructor(options: DnsDiscoveryOptions) {
    this.#options = options
  }

  async announce(): Promise<void> {
    if (this.#end.signal.aborted) throw discoveryClosed()
  }

  async find({ signal }: FindOptions): Promise<readonly string[]> {
    if (this.#end.signal.aborted) throw discoveryClosed()
    const { name, port, servers } = this.#options
    const lookups = new Lookups({ servers, signal: AbortSignal.any([signal, this.#end.signal]) })
    try {
      const found = name.startsWith('_')
        ? await findServices(lookups, name)
        : (await lookups.hosts(name)).map((host) => toAddress(host, port))
      return [...new Set(found)].slice(0, ADDRESSES_MAX)
    } catch (error) {
      throw this.#end.signal.aborted && !signal.aborted ? discoveryClosed() : error
    }
  }

  async close(): Promise<void> {
    this.#end.abort()
  }
}

/** A target that can't be resolved is left out where another one can. */
async function findServices(lookups: Lookups, name: string): Promise<string[]> {
  const services = await lookups.services(name)
  const targets = services.slice(0, TARGETS_MAX).map(async (service) => {
    const hosts = await lookups.hosts(service.name)
    return hosts.map((host) => toAddress(host, service.port))
  })
  const answers = await Promise.allSettled(targets)
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (found.length === 0 && failed !== undefined) throw failed.reason
  return found
}
