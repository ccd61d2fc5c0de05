import { type Discovery, DnsKnown, type Lookups, toAddress } from '../cluster/cluster.ts'

export interface DnsDiscoveryOptions {
  /** A name with A and AAAA records; one that begins with `_` has SRV records, with ports. */
  readonly name: string
  /** Of all nodes, where the name has no ports. */
  readonly port: number
  readonly servers: readonly string[] | undefined
}

/** Hosts of one look-up whose addresses are asked for at once. */
const TARGETS_MAX = 64

/** Finds the nodes that a DNS knows under one name. */
export function createDnsDiscovery({ name, port, servers }: DnsDiscoveryOptions): Discovery {
  const lookUp = async (lookups: Lookups): Promise<readonly string[]> => {
    if (name.startsWith('_')) return findServices(lookups, name)
    const hosts = await lookups.hosts(name)
    return hosts.map((host) => toAddress(host, port))
  }
  return new DnsKnown({ servers, lookUp })
}

/** A target that can't be resolved is left out where another one can. */
async function findServices(lookups: Lookups, name: string): Promise<readonly string[]> {
  const services = await lookups.services(name)
  return lookups.each(services, TARGETS_MAX, async (service) => {
    const hosts = await lookups.hosts(service.name)
    return hosts.map((host) => toAddress(host, service.port))
  })
}
