import { isIPv6 } from 'node:net'
import {
  type ClusterNode,
  type ClusterOptions,
  checkObject,
  checkOptions,
  checkServers,
  checkSwitch,
  checkText,
  checkWhole,
  findOwnAddress,
  invalidOption,
  type PassedOptions,
  PORT,
  startCluster,
  toAddress,
  toClusterConfig,
} from '../cluster/cluster.ts'
import { type OpenOptions, wipe } from '../index.ts'
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

const OWN_OPTIONS = [
  ...['machineId', 'privateIp', 'region', 'app', 'port', 'bootstrapExpect', 'forceCleanStart'],
  ...['handleSignals', 'pollMs', 'peerTtlMs', 'servers'],
] as const
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
  const given = checkObject(options, 'startFly')
  const { machineId, privateIp, region, app, bootstrapExpect = 1, ...others } = given
  const { forceCleanStart = false, handleSignals = true, ...more } = others
  const { pollMs, peerTtlMs, servers, port: asked = PORT, ...rest } = more
  const port = checkWhole('port', asked, 1, 65_535)
  checkUndecided(rest)
  const startsClean = checkSwitch('forceCleanStart', forceCleanStart)
  const leavesItself = checkSwitch('handleSignals', handleSignals)
  const expect = checkWhole('bootstrapExpect', bootstrapExpect, 1, 1000)
  const nodeId = checkText('machineId', machineId, /^[^\s\p{C}]{1,128}$/u, "'2865550fe3e678'")
  const passed = { ...rest, nodeId, bind: toAddress(checkIp(privateIp), port) }
  const config = toClusterConfig(passed, {
    ...FLY_DEFAULTS,
    expectedVoters: (voterTarget) => Math.max(voterTarget, expect),
  })
  const address = await findOwnAddress(passed.bind, undefined)
  const discovery = createFlyDiscovery({
    app: checkText('app', app, LABEL, "'my-app'"),
    region: checkText('region', region, LABEL, "'fra'"),
    port,
    pollMs: checkWhole('pollMs', pollMs ?? POLL_MS, 0, 60_000),
    peerTtlMs: checkWhole('peerTtlMs', peerTtlMs ?? PEER_TTL_MS, 0, 600_000),
    servers: checkServers(servers),
    nowMs: () => performance.now(),
  })
  checkProtected(rest)
  await checkOptions({ ...config.open, ...address }, OWN_OPTIONS)
  if (startsClean) cleanStart(rest)
  // Of two halves of a cluster that both start clean, each would begin one.
  const { expectedVoters } = config.open
  const open = { ...config.open, expectedVoters: startsClean ? undefined : expectedVoters }
  const cluster = await startCluster(discovery, address, { ...config, open })
  if (leavesItself) leaveAtSignals(cluster)
  return cluster
}

function cleanStart({ dataDir, logger }: Pick<FlyOptions, 'dataDir' | 'logger'>): void {
  const deleted = wipe({ dataDir })
  const what = deleted.length === 0 ? 'there was nothing' : `deleted ${deleted.join(', ')}`
  logger?.warn?.(`forceCleanStart: ${what}; this node joins anew. Take the option away again`)
}

/** What the machine decides: nothing that is given is passed over in silence. */
function checkUndecided(rest: OpenOptions): void {
  const name = (['nodeId', 'bind', 'advertise'] as const).find((key) => rest[key] !== undefined)
  if (name === undefined) return
  throw invalidOption(`${name} is not for startFly, which takes machineId, privateIp and port`)
}

/** `open` would name its own options, and not the variable that was forgotten. */
function checkProtected({ secret, tls, insecure }: PassedOptions): void {
  if (secret !== undefined || tls !== undefined || insecure === true) return
  throw invalidOption(
    'machines need something to know each other by: secret, which fromEnv() takes from ' +
      'COLMENA_SECRET (fly secrets set COLMENA_SECRET="$(openssl rand -base64 32)"), or tls; or ' +
      'insecure: true, if everybody on the private network may own the data',
  )
}

function checkIp(privateIp: unknown): string {
  if (typeof privateIp === 'string' && isIPv6(privateIp)) return privateIp
  const shown = privateIp === undefined ? 'missing' : JSON.stringify(privateIp)
  throw invalidOption(`privateIp is ${shown}; it must be an IPv6 address, as 'fdaa:0:1::3'`)
}
