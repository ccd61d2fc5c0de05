import {
  type ClusterNode,
  type ClusterOptions,
  checkObject,
  checkOptions,
  checkText,
  findOwnAddress,
  invalidOption,
  ownHosts,
  type PassedOptions,
  PORT,
  splitAddress,
  startCluster,
  toAddress,
  toClusterConfig,
} from '../cluster/cluster.ts'
import { MdnsDiscovery } from './mdns-discovery.ts'
import { ownNodeId } from './node-id.ts'
import { type TrustOptions, toTrust } from './trust.ts'

/** What {@link startLan} takes: this, and everything that `open` takes but who begins or joins. */
export interface LanOptions extends ClusterOptions, PassedOptions, TrustOptions {
  /**
   * The IPv4 address of the network interface to look for others on.
   *
   * @defaultValue all for listening, and the one that the system takes for sending
   */
  readonly interface?: string | undefined
}

/** What tests and nobody else choose. */
export interface LanInternals {
  readonly mdnsPort?: number | undefined
  readonly mdnsGapMs?: number | undefined
}

const OWN_OPTIONS = ['ca', 'caKey', 'interface'] as const
export const LAN_DEFAULTS = {
  deadVoterTimeoutMs: 300_000,
  deadLearnerTimeoutMs: 86_400_000,
  discoveryWindowMs: 8_000,
  consistency: 'none',
  // Nobody knows how many there will be: a node that finds nobody begins alone.
  expectedVoters: (): number => 1,
} as const

/**
 * Opens a node of a cluster on a local network, whose nodes find each other by multicast DNS. The
 * same call on every machine: what they have in common is a CA, or a secret.
 *
 * @throws ColmenaError as `open`; ERR_INVALID_OPTION for what only this takes
 * @example
 * const { node } = await startLan({ dataDir: './data', ca, caKey })
 */
export function startLan(options: LanOptions): Promise<ClusterNode> {
  return startLanWith(options, {})
}

/** {@link startLan} on a network of a test's own. */
export async function startLanWith(
  options: LanOptions,
  { mdnsPort, mdnsGapMs }: LanInternals,
): Promise<ClusterNode> {
  const { ca, caKey, interface: own, ...rest } = checkObject(options, 'startLan')
  if (own !== undefined) checkInterface(own)
  const bind = rest.bind ?? toAddress('0.0.0.0', PORT)
  const [host, port] = splitAddress('bind', bind)
  const isWildcard = host === '0.0.0.0'
  const advertise = own !== undefined && isWildcard ? toAddress(own, port) : undefined
  const config = toClusterConfig(rest, LAN_DEFAULTS)
  const { cluster, issue, fault } = toTrust({ ca, caKey }, rest)
  const address = await findOwnAddress(bind, rest.advertise ?? advertise)
  // A certificate of its own is still to come.
  const insecure = issue === null ? rest.insecure : true
  await checkOptions({ ...config.open, ...address, insecure }, OWN_OPTIONS)
  const nodeId = rest.nodeId ?? ownNodeId(rest.dataDir)
  const tls = issue === null ? rest.tls : await issue(nodeId)
  const discovery = new MdnsDiscovery({
    cluster,
    nodeId,
    interface: own,
    port: mdnsPort,
    gapMs: mdnsGapMs,
    fault,
  })
  return startCluster(discovery, address, { ...config, open: { ...config.open, nodeId, tls } })
}

/** Where nobody could be heard it would begin a cluster of its own. */
function checkInterface(own: unknown): void {
  const address = checkText('interface', own, /^\d{1,3}(\.\d{1,3}){3}$/, "'192.168.1.20'")
  const hosts = ownHosts()
  if (hosts.includes(address)) return
  const there = hosts.filter((host) => !host.includes(':')).join(', ')
  throw invalidOption(
    `interface is '${address}', which is no address of this machine: it has ${there || 'none'}`,
  )
}
