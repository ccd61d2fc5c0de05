/**
 * `colmena/dns`: clusters whose nodes a DNS knows by one name. Promises to find what the name has,
 * within bounds of time and number, and to tell a DNS that does not answer from one that knows
 * nobody. Who votes is decided in `cluster/`.
 */
export type { ClusterNode } from '../cluster/cluster.ts'
export { type DnsOptions, startDns } from './start-dns.ts'
