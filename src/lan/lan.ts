/**
 * `colmena/lan`: clusters of the machines on one local network, without configuration. Promises
 * that nodes with one CA find each other by multicast DNS and nobody else does, and that whatever
 * strangers send there stays within bounds. Who votes is decided in `cluster/`.
 */
export type { ClusterNode } from '../cluster/cluster.ts'
export { type LanOptions, startLan } from './start-lan.ts'
