import { Host } from './host.ts'
import { Loopback } from './loopback.ts'
import { Namespaces, whyNoNamespaces } from './namespaces.ts'
import type { Network } from './network.ts'

/*
 * Several hosts on one machine, for tests of what only shows between machines: discovery by
 * multicast, cut wires, lost power.
 *
 *   await using hosts = await createHosts(3)
 *   const node = hosts.host(0).startNode()                 // a NodeHandle, as test/processes has
 *   await node.call('open', { bind: hosts.host(0).bind, … })
 *   hosts.host(1).run(new URL('script.ts', import.meta.url), ['an argument'])   // or any script
 *   hosts.cut(0, 1)                                        // nothing passes, and nobody is told
 *   hosts.cutOff(2)                                        // from all others
 *   hosts.heal()
 *   await hosts.host(2).powerCut()                         // off the wire, then killed
 *   await hosts.powerCut()                                 // all of them
 *   hosts.powerOn()                                        // starting a process does it as well
 *
 * Each host is a network namespace with one interface, `eth0`, that has an IPv4 and an IPv6 address
 * (in fdaa::/16, as Fly's private network) and carries multicast. A switch in a namespace of its
 * own joins them. None of them has a way out: what is sent elsewhere fails with ENETUNREACH. All
 * hosts may listen on the same ports. Processes end with the rig and with the process that made it,
 * however that ends; a namespace goes with its last process, so nothing is left behind.
 *
 * It takes `unshare`, `nsenter`, `setpriv`, `ip` and `tc`, and the right to make namespaces, alone
 * or by way of a user namespace. Where that is missing (`hosts.missing` says what, and is null
 * where all is there) hosts are loopback addresses of this machine: all but `cut`, `cutOff` and
 * `heal` works, and a test says what it could not look at. Therefore listen at `host.bind`, whose
 * port is this host's alone there, and send multicast by `host.multicastAddress`.
 */
export class Hosts implements AsyncDisposable {
  /** Why these are no namespaces but loopback addresses; null for namespaces. */
  readonly missing: string | null
  readonly #network: Network
  readonly #hosts: readonly Host[]

  constructor(network: Network, missing: string | null) {
    this.missing = missing
    this.#network = network
    this.#hosts = network.places.map((_, at) => new Host(network, at))
  }

  get all(): readonly Host[] {
    return this.#hosts
  }

  host(at: number): Host {
    const host = this.#hosts[at]
    if (host === undefined) throw new Error(`there is no host ${at} of ${this.#hosts.length}`)
    return host
  }

  /** From now on nothing passes between two hosts, in silence; `oneWay` spares what `b` sends. */
  cut(a: number, b: number, { oneWay = false }: { readonly oneWay?: boolean } = {}): void {
    this.#network.cut([[a, b], ...(oneWay ? [] : [[b, a] as const])])
  }

  /** From now on nothing passes between a host and any other. */
  cutOff(at: number): void {
    const others = [...this.#hosts.keys()].filter((other) => other !== at)
    this.#network.cut(others.flatMap((other) => [[at, other] as const, [other, at] as const]))
  }

  /** Takes all cuts back. */
  heal(): void {
    this.#network.heal()
  }

  /** Of all hosts; see {@link Host.powerCut}. */
  async powerCut(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.powerCut()))
  }

  powerOn(): void {
    for (const host of this.#hosts) host.powerOn()
  }

  async close(): Promise<void> {
    await this.powerCut()
    await this.#network.close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }
}

export type { Host }

/** So many hosts, which reach each other and nobody else. */
export async function createHosts(count: number): Promise<Hosts> {
  const missing = whyNoNamespaces()
  const network = missing === null ? await Namespaces.open(count) : await Loopback.open(count)
  return new Hosts(network, missing)
}
