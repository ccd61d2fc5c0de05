/**
 * What clusters that form themselves share, whatever finds their nodes: the port of a discovery,
 * how a node is opened with one, and the policy of who votes and who is given up. Promises that
 * members change one step at a time, by the leader alone, and never at the cost of a failure that
 * is borne so far. Who begins a cluster, and how nodes that moved are found again, is the core's
 * business; finding addresses is that of `lan/`, `dns/` and `fly/`.
 */
export type { ClusterNode } from './cluster-node.ts'
export {
  ADDRESSES_MAX,
  checkNotAborted,
  type Discovery,
  discoveryClosed,
  discoveryFailed,
  type FindOptions,
  type Found,
  toAddress,
} from './discovery.ts'
export { checkServers, DnsKnown, type Lookups } from './dns-lookups.ts'
export {
  type ClusterConfig,
  type ClusterDefaults,
  type ClusterOptions,
  checkObject,
  checkSwitch,
  checkText,
  checkWhole,
  invalidOption,
  type PassedOptions,
  PORT,
  toClusterConfig,
} from './options.ts'
export {
  everyInterface,
  findOwnAddress,
  type OwnAddress,
  ownHosts,
  splitAddress,
} from './own-address.ts'
export { checkOptions, startCluster } from './start-cluster.ts'
