import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Authority, createAuthority } from '../../src/certificates/certificates.ts'
import type { MemberStatus } from '../../src/index.ts'
import type { LanOptions } from '../../src/lan/lan.ts'
import type { ZoneRecord } from '../cluster/dns-server.ts'
import { freeUdpPort } from '../cluster/free-udp-port.ts'
import { findFreePorts } from '../processes/free-port.ts'
import type { NodeHandle } from '../processes/node-handle.ts'
import { until } from '../processes/wait.ts'
import type { Zone } from './dns-process.ts'
import type { Formation } from './formation.ts'
import { createHosts, type Host, type Hosts } from './hosts.ts'

/** By multicast; by the names of Fly.io; by a name with A and AAAA records; by SRV records. */
export type Way = 'lan' | 'fly' | 'dns' | 'srv'

const PORT = 9_000
const APP = 'app'
const REGION = 'fra'
const NAME = 'nodes.example'
const SERVICE = '_colmena._tcp.nodes.example'
const SECRET = 'all machines of this test know this'

/**
 * Machines whose nodes find each other, one a host, and a DNS server on a host of its own that has
 * all their names. As far as the network allows, nodes are told nothing but what a user has to say.
 */
export class Machines implements AsyncDisposable {
  readonly hosts: Hosts
  readonly folder: string = mkdtempSync(join(tmpdir(), 'colmena-machines-'))
  readonly #count: number
  readonly #authority: Authority
  readonly #dns: ChildProcess
  /** Of all nodes where hosts are namespaces, and where each has an address of its own. */
  readonly #port: number
  readonly #mdnsPort: number | undefined
  readonly #ids: string[]
  readonly #processes = new Map<number, NodeHandle>()
  readonly #nodes = new Map<number, NodeHandle>()

  private constructor(hosts: Hosts, authority: Authority, ports: readonly [number, number]) {
    this.hosts = hosts
    this.#count = hosts.all.length - 1
    this.#authority = authority
    const isApart = hosts.missing === null
    this.#port = isApart ? PORT : ports[0]
    this.#mdnsPort = isApart ? undefined : ports[1]
    this.#ids = Array.from({ length: this.#count }, (_, at) => `2865550fe3e67${at}`)
    const host = hosts.host(this.#count)
    const args = [this.#hostOf(host), String(host.port)]
    this.#dns = host.run(new URL('dns-process.ts', import.meta.url), args)
  }

  static async open(count: number): Promise<Machines> {
    const [port = 0] = await findFreePorts(1)
    const ports = [port, await freeUdpPort()] as const
    const machines = new Machines(await createHosts(count + 1), await createAuthority(), ports)
    await once(machines.#dns, 'message')
    await machines.#publish()
    return machines
  }

  get places(): readonly number[] {
    return [...this.#ids.keys()]
  }

  /** Those that are open. */
  get nodes(): readonly NodeHandle[] {
    return [...this.#nodes.values()]
  }

  node(at: number): NodeHandle {
    const node = this.#nodes.get(at)
    if (node === undefined) throw new Error(`the node of machine ${at} is not open`)
    return node
  }

  idOf(at: number): string {
    return this.#ids[at] as string
  }

  /** Starts a node, in the process that the machine has or in a new one. */
  async start(at: number, way: Way, more: Partial<LanOptions> = {}): Promise<NodeHandle> {
    const running = this.#processes.get(at)
    const node = running?.isRunning ? running : this.#startProcess(at)
    this.#processes.set(at, node)
    await node.call('form', this.#formation(at, way, more))
    this.#nodes.set(at, node)
    return node
  }

  /** A node of somebody else's on the LAN of a machine, which is none of {@link nodes}. */
  async startStranger(at: number, more: Partial<LanOptions>): Promise<NodeHandle> {
    const node = this.#startProcess(at)
    const { cert: ca, key: caKey } = await createAuthority()
    const bind = `${this.hosts.host(at).address}:0`
    const own = { ca, caKey, bind, dataDir: join(this.folder, 'stranger') }
    await node.call('form', this.#formation(at, 'lan', { ...own, ...more }))
    return node
  }

  /** Ends the process of a machine by SIGTERM: its exit code. Nobody asks its node any more. */
  async terminate(at: number): Promise<number | null> {
    const node = this.node(at)
    this.#nodes.delete(at)
    return await node.terminate()
  }

  /** It loses power, and is in no list any more. */
  async powerCut(at: number): Promise<void> {
    this.#nodes.delete(at)
    await this.hosts.host(at).powerCut()
  }

  wipe(at: number): void {
    rmSync(this.dataDir(at), { recursive: true, force: true })
  }

  /** Another machine, with nothing on its volume, in the place of one that is gone. */
  async replace(at: number): Promise<void> {
    this.wipe(at)
    this.#ids[at] = `new${this.#ids[at]}`
    await this.#publish()
  }

  dataDir(at: number): string {
    return join(this.folder, String(at))
  }

  /** Resolves once all that run see so many voters and learners, all of them in one cluster. */
  async untilOne(voters: number, learners: number): Promise<void> {
    const wanted = `${voters} voters and ${learners} learners in one cluster`
    let seen: readonly (readonly MemberStatus[])[] = []
    try {
      await until(wanted, async () => {
        seen = await Promise.all(this.nodes.map((node) => node.call('members')))
        return seen.every((members) => {
          return count(members, 'voter') === voters && count(members, 'learner') === learners
        })
      })
    } catch (error) {
      throw new Error(`${(error as Error).message}; it is ${JSON.stringify(seen)}`, {
        cause: error,
      })
    }
    const ids = await this.clusterIds()
    if (ids.size !== 1) throw new Error(`there are ${ids.size} clusters: ${[...ids].join(', ')}`)
  }

  async clusterIds(): Promise<ReadonlySet<string>> {
    const all = await Promise.all(this.nodes.map((node) => node.call('status')))
    return new Set(all.map(({ clusterId }) => clusterId))
  }

  /** Nodes end; their processes stay. */
  async stop(): Promise<void> {
    const closing = this.nodes.map((node) => node.call('close'))
    this.#nodes.clear()
    await Promise.all(closing)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.hosts.close()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #startProcess(at: number): NodeHandle {
    return this.hosts.host(at).startNode({ env: this.#env(at) })
  }

  #formation(at: number, way: Way, more: Partial<LanOptions>): Formation {
    const host = this.hosts.host(at)
    const { cert: ca, key: caKey } = this.#authority
    const common = { dataDir: this.dataDir(at), ...more }
    const isApart = this.hosts.missing === null
    const servers = [this.#server]
    if (way === 'lan') {
      const where = isApart ? {} : { bind: host.bind, interface: host.multicastAddress }
      const internals = { mdnsPort: this.#mdnsPort }
      return { by: 'lan', options: { ca, caKey, ...where, ...common }, internals }
    }
    if (way === 'fly') return { by: 'fly', options: { ...common, port: this.#port, servers } }
    const bind = isApart ? `[::]:${this.#port}` : `${host.address}:${this.#port}`
    const name = way === 'dns' ? NAME : SERVICE
    const own = { name, servers, bind, nodeId: host.name, secret: SECRET }
    return { by: 'dns', options: { ...own, ...common } }
  }

  /** What Fly.io sets on that machine. */
  #env(at: number): Record<string, string> {
    return {
      FLY_MACHINE_ID: this.idOf(at),
      FLY_PRIVATE_IP: this.#address6(this.hosts.host(at)),
      FLY_REGION: REGION,
      FLY_APP_NAME: APP,
      COLMENA_DATA_DIR: this.dataDir(at),
      COLMENA_SECRET: SECRET,
    }
  }

  async #publish(): Promise<void> {
    const machines = this.hosts.all.slice(0, this.#count)
    const aaaa = (host: Host): ZoneRecord => ({ type: 'AAAA', value: this.#address6(host) })
    const a = (host: Host): ZoneRecord => ({ type: 'A', value: host.address })
    const list = this.#ids.map((id) => `${id} ${REGION}`).join(',')
    // On loopback nodes listen by IPv4 alone.
    const both = (host: Host): ZoneRecord[] =>
      this.hosts.missing === null ? [a(host), aaaa(host)] : [a(host)]
    // This server shortens names that end alike, which an SRV record may not do.
    const target = (host: Host): string => `n.${host.name}`
    const srv = (host: Host): ZoneRecord => {
      return { type: 'SRV', target: target(host), port: this.#port }
    }
    const zone: Zone = [
      [`vms.${APP}.internal`, [{ type: 'TXT', value: list }]],
      [`${REGION}.${APP}.internal`, machines.map(aaaa)],
      ...machines.map((host, at) => [`${this.idOf(at)}.vm.${APP}.internal`, [aaaa(host)]] as const),
      [NAME, machines.flatMap(both)],
      [SERVICE, machines.map(srv)],
      ...machines.map((host) => [target(host), [a(host)]] as const),
    ]
    const taken = once(this.#dns, 'message')
    this.#dns.send(zone)
    await taken
  }

  get #server(): string {
    const host = this.hosts.host(this.#count)
    return this.hosts.missing === null ? host.bind6 : host.bind
  }

  #hostOf({ address, address6 }: Host): string {
    return this.hosts.missing === null ? address6 : address
  }

  /** On loopback there is one IPv6 address alone. */
  #address6({ address, address6 }: Host): string {
    return this.hosts.missing === null ? address6 : `::ffff:${address}`
  }
}

function count(members: readonly MemberStatus[], role: MemberStatus['role']): number {
  return members.filter((member) => member.role === role).length
}
