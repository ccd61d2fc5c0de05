import {
  type ClusterNode,
  type ClusterOptions,
  checkServers,
  checkText,
  checkWhole,
  findOwnAddress,
  invalidOption,
  type PassedOptions,
  startCluster,
  toAddress,
  toClusterConfig,
} from '../cluster/cluster.ts'
import { wipe } from '../index.ts'
import { leaveAtSignals } from './departure.ts'
import { createFlyDiscovery } from './fly-discovery.ts'

/** What {@link startFly} takes: this, and everything that `open` takes but who begins or joins. */
export interface FlyOptions
  extends ClusterOptions,
    Omit<PassedOptions, 'nodeId' | 'bind' | 'advertise'> {
  /** Of this machine, and so of its node. */
  readonly machineId: string
  /** IPv6, of the private network; nodes listen there and nowhere else. */
  readonly privateIp: string
  /** Machines of other regions are no members: every write would wait for the way there. */
  readonly region: string
  /** The name of the application. */
  readonly app: string
  /** @defaultValue 9000 */
  readonly port?: number | undefined
  /**
   * How many machines must see each other before they begin a cluster, where that is more than
   * `voterTarget`: all that are started at once.
   */
  readonly bootstrapExpect?: number | undefined
  /**
   * Deletes what this machine holds of the cluster before it starts, and joins anew. It begins no
   * cluster then. Take it away again afterwards.
   *
   * @defaultValue false
   */
  readonly forceCleanStart?: boolean | undefined
  /**
   * Whether SIGTERM and SIGINT let the node leave and end the process with code 0, within 8 s.
   *
   * @defaultValue true
   */
  readonly handleSignals?: boolean | undefined
  /** How often machines are looked for, in milliseconds. @defaultValue 3000 */
  readonly pollMs?: number | undefined
  /** For so long one that is found no more counts as found, in milliseconds. @defaultValue 15000 */
  readonly peerTtlMs?: number | undefined
  /** DNS servers to ask, as `host:port`. @defaultValue those of the machine */
  readonly servers?: readonly string[] | undefined
}

const PORT = 9000
const POLL_MS = 3_000
const PEER_TTL_MS = 15_000
export const FLY_DEFAULTS = {
  deadVoterTimeoutMs: 30_000,
  deadLearnerTimeoutMs: null,
  discoveryWindowMs: 5_000,
  consistency: 'none',
  // The machine is started again by Fly.io.
  onSelfHeal: (): void => process.exit(1),
} as const
const LABEL = /^[0-9a-z]([0-9a-z-]{0,61}[0-9a-z])?$/

/**
 * Opens a node on a machine of Fly.io. The machines of one application and region find each other
 * by the private DNS, and begin a cluster by themselves once enough are there.
 *
 * @throws ColmenaError as `open`; ERR_INVALID_OPTION for what only this takes
 * @example
 * const { node } = await startFly(fromEnv())
 */
export async function startFly(options: FlyOptions): Promise<ClusterNode> {
  const { machineId, privateIp, region, app, port = PORT, bootstrapExpect = 1, ...others } = options
  const { forceCleanStart = false, handleSignals = true, ...more } = others
  const { pollMs, peerTtlMs, servers, ...rest } = more
  const expect = checkWhole('bootstrapExpect', bootstrapExpect, 1, 1000)
  const passed = { ...rest, nodeId: machineId, bind: toAddress(checkIp(privateIp), port) }
  const config = toClusterConfig(passed, {
    ...FLY_DEFAULTS,
    expectedVoters: (voterTarget) => Math.max(voterTarget, expect),
  })
  const address = await findOwnAddress(passed.bind, undefined)
  const discovery = createFlyDiscovery({
    app: checkText('app', app, LABEL, "'my-app'"),
    region: checkText('region', region, LABEL, "'fra'"),
    port: checkWhole('port', port, 1, 65_535),
    pollMs: checkWhole('pollMs', pollMs ?? POLL_MS, 0, 60_000),
    peerTtlMs: checkWhole('peerTtlMs', peerTtlMs ?? PEER_TTL_MS, 0, 600_000),
    servers: checkServers(servers),
    nowMs: () => performance.now(),
  })
  if (forceCleanStart) cleanStart(rest)
  // Of two halves of a cluster that both start clean, each would begin one.
  const { expectedVoters } = config.open
  const open = { ...config.open, expectedVoters: forceCleanStart ? undefined : expectedVoters }
  const cluster = await startCluster(discovery, address, { ...config, open })
  if (handleSignals) leaveAtSignals(cluster)
  return cluster
}

function cleanStart({ dataDir, logger }: Pick<FlyOptions, 'dataDir' | 'logger'>): void {
  const deleted = wipe({ dataDir })
  const what = deleted.length === 0 ? 'there was nothing' : `deleted ${deleted.join(', ')}`
  logger?.warn?.(`forceCleanStart: ${what}; this node joins anew. Take the option away again`)
}

function checkIp(privateIp: unknown): string {
  if (typeof privateIp === 'string' && /^[0-9A-Fa-f:.]{2,45}$/.test(privateIp)) return privateIp
  throw invalidOption(`privateIp is ${JSON.stringify(privateIp)}; it must be as 'fdaa:0:1::3'`)
}
