import {
  ADDRESSES_MAX,
  type Discovery,
  DnsKnown,
  type Lookups,
  toAddress,
} from '../cluster/cluster.ts'

export interface FlyDiscoveryOptions {
  readonly app: string
  readonly region: string
  readonly port: number
  readonly servers: readonly string[] | undefined
  /** An answer is as good as new for so long. */
  readonly pollMs: number
  /** A machine that is found no more counts as found for so long: single answers are incomplete. */
  readonly peerTtlMs: number
  readonly nowMs: () => number
}

/** Machines whose addresses one look-up asks for. */
const MACHINES_MAX = 128
/** What Fly.io calls its machines and regions; anything else is no label of a name. */
const MACHINE = /^[0-9a-z]{1,32}$/

/**
 * Finds the machines of an application in one region, as the private DNS of Fly.io knows them:
 * `vms.<app>.internal` lists them, `<id>.vm.<app>.internal` has an address each. Where that gives
 * none, `<region>.<app>.internal` has all addresses at once.
 */
export function createFlyDiscovery(options: FlyDiscoveryOptions): Discovery {
  const sightings = new Sightings(options)
  const lookUp = (lookups: Lookups): Promise<readonly string[]> => sightings.renew(lookups)
  return new DnsKnown({ servers: options.servers, lookUp })
}

/** Where machines were seen, some of them not in the last answer. */
class Sightings {
  readonly #options: FlyDiscoveryOptions
  /** Addresses, and when they were last in an answer. */
  readonly #seenMs = new Map<string, number>()
  #answeredMs = Number.NEGATIVE_INFINITY
  #isComplete = true

  constructor(options: FlyDiscoveryOptions) {
    this.#options = options
  }

  async renew(lookups: Lookups): Promise<readonly string[]> {
    const { pollMs, nowMs } = this.#options
    if (nowMs() - this.#answeredMs >= pollMs) {
      this.#keep(await this.#lookUp(lookups))
      this.#isComplete = lookups.isComplete
    }
    lookups.isComplete = this.#isComplete
    return [...this.#seenMs.keys()]
  }

  #keep(hosts: readonly string[]): void {
    const { port, peerTtlMs, nowMs } = this.#options
    this.#answeredMs = nowMs()
    for (const [address, seenMs] of this.#seenMs) {
      if (this.#answeredMs - seenMs >= peerTtlMs) this.#seenMs.delete(address)
    }
    for (const host of hosts) {
      const address = toAddress(host, port)
      // One more than are passed on: so it shows that there are more.
      if (this.#seenMs.size > ADDRESSES_MAX && !this.#seenMs.has(address)) return
      this.#seenMs.set(address, this.#answeredMs)
    }
  }

  async #lookUp(lookups: Lookups): Promise<readonly string[]> {
    const { app, region } = this.#options
    const texts = await lookups.texts(`vms.${app}.internal`).catch(() => [])
    const names = readMachines(texts, region).map((id) => `${id}.vm.${app}.internal`)
    const ask = (name: string): Promise<readonly string[]> => lookups.hosts6(name)
    const hosts = await lookups.each(names, MACHINES_MAX, ask).catch(() => [])
    return hosts.length > 0 ? hosts : lookups.hosts6(`${region}.${app}.internal`)
  }
}

/** The ids of a list such as `2865550fe3e678 fra,9185957f411dd8 fra`, of one region. */
export function readMachines(texts: readonly string[], region: string): readonly string[] {
  return texts
    .flatMap((text) => text.split(','))
    .map((entry) => entry.trim().split(/\s+/))
    .filter(([id = '', at]) => at === region && MACHINE.test(id))
    .map(([id = '']) => id)
}
