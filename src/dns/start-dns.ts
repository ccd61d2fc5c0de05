import {
  type ClusterNode,
  type ClusterOptions,
  checkObject,
  checkOptions,
  checkServers,
  checkText,
  checkWhole,
  everyInterface,
  findOwnAddress,
  type PassedOptions,
  PORT,
  splitAddress,
  startCluster,
  toClusterConfig,
} from '../cluster/cluster.ts'
import { createDnsDiscovery } from './dns-discovery.ts'

/** What {@link startDns} takes: this, and everything that `open` takes but who begins or joins. */
export interface DnsOptions extends ClusterOptions, PassedOptions {
  /**
   * The name of all nodes, in full: `colmena.default.svc.cluster.local`. One that begins with `_`
   * has SRV records, whose ports count; any other has A and AAAA records.
   */
  readonly name: string
  /**
   * The port of all nodes, where the name has none.
   *
   * @defaultValue that of `bind`
   */
  readonly port?: number | undefined
  /**
   * DNS servers to ask, as `host` or `host:port`.
   *
   * @defaultValue those of the system
   */
  readonly servers?: readonly string[] | undefined
}

const OWN_OPTIONS = ['name', 'port', 'servers'] as const
export const DNS_DEFAULTS = {
  deadVoterTimeoutMs: 300_000,
  deadLearnerTimeoutMs: 86_400_000,
  discoveryWindowMs: 5_000,
  consistency: 'weak',
  expectedVoters: (voterTarget: number): number => voterTarget,
} as const
const NAME = /^[0-9A-Za-z_]([0-9A-Za-z_.-]{0,251}[0-9A-Za-z.])?$/

/**
 * Opens a node of a cluster whose nodes a DNS knows by one name, as a headless service of
 * Kubernetes or a service of Docker Compose. Nodes that find each other begin a cluster by
 * themselves, once `expectedVoters` are there.
 *
 * @throws ColmenaError as `open`; ERR_INVALID_OPTION for what only this takes
 * @example
 * const name = 'colmena.default.svc.cluster.local'
 * const { node } = await startDns({ name, dataDir: '/data', secret })
 */
export async function startDns(options: DnsOptions): Promise<ClusterNode> {
  const { name, port, servers, ...rest } = checkObject(options, 'startDns')
  const config = toClusterConfig(rest, DNS_DEFAULTS)
  checkText('name', name, NAME, "'colmena.default.svc.cluster.local'")
  const bind = rest.bind ?? everyInterface(PORT)
  const [, bound] = splitAddress('bind', bind)
  const usual = checkWhole('port', port ?? bound, name.startsWith('_') ? 0 : 1, 65_535)
  const discovery = createDnsDiscovery({ name, port: usual, servers: checkServers(servers) })
  const address = await findOwnAddress(bind, rest.advertise)
  await checkOptions({ ...config.open, ...address }, OWN_OPTIONS)
  return startCluster(discovery, address, config)
}
