export { DnsDiscovery, type DnsDiscoveryOptions } from './dns-discovery.ts'
export { Lookups } from './lookups.ts'
