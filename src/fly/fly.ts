/**
 * `colmena/fly`: clusters of the machines of one Fly.io application. Promises that machines find
 * each other by the private DNS alone, over IPv6, that one that is stopped leaves first, and that
 * one which its cluster has removed comes back by itself. Who votes is decided in `cluster/`.
 */
export type { ClusterNode } from '../cluster/cluster.ts'
export { fromEnv } from './environment.ts'
export { type FlyOptions, startFly } from './start-fly.ts'
