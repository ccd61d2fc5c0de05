import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createAuthority } from '../../src/certificates/certificates.ts'
import { freeUdpPort } from '../cluster/free-udp-port.ts'
import type { NodeHandle, RemoteError } from '../processes/node-handle.ts'
import { until } from '../processes/wait.ts'
import { SeededRandom } from '../simulated/random.ts'
import { describeMs } from './figures.ts'
import { createHosts, type Hosts } from './hosts.ts'

export interface PowerCutForm {
  readonly nodes: number
  /** How they find each other: told of one, or not at all. */
  readonly by: 'addresses' | 'lan'
  readonly cuts: number
  /** Hosts come back within so long of each other, at random. */
  readonly apartMsMax: number
  readonly seed: number
  readonly progress?: (line: string) => void
}

const WRITES_PER_CUT = 20
const SECRET = 'all hosts of this test know this'

/**
 * All hosts lose power at once, amid writes, and have it back at different times. From when a
 * majority of them has it it is measured how long it takes until one leads, and until a write is
 * acknowledged: the processes start in that time as well. What was acknowledged is all there.
 */
export async function runPowerCuts(form: PowerCutForm): Promise<string[]> {
  const { nodes, by, cuts, apartMsMax, seed, progress = () => {} } = form
  await using hosts = await createHosts(nodes)
  await using cluster = await Powered.of(hosts, by)
  await cluster.begin()
  const random = new SeededRandom(seed)
  const all: Restarted[] = []
  for (let cut = 1; cut <= cuts; cut += 1) {
    await cluster.cutAmidWrites()
    const restarted = await cluster.restart(hosts.all.map(() => random.below(apartMsMax + 1)))
    await cluster.check()
    all.push(restarted)
    const { ledMs, writtenMs } = restarted
    progress(
      `cut ${cut}: a leader in ${ledMs.toFixed(0)} ms, a write in ${writtenMs.toFixed(0)} ms`,
    )
  }
  const where = hosts.missing === null ? 'in network namespaces' : 'on loopback'
  return [
    `${cuts} power cuts of all ${nodes} hosts ${where}, which start within ${apartMsMax} ms, and ` +
      (by === 'lan' ? 'find each other by multicast' : 'know their addresses'),
    `from a majority having power to a leader: ${describeMs(all.map(({ ledMs }) => ledMs))}`,
    `and to an acknowledged write: ${describeMs(all.map(({ writtenMs }) => writtenMs))}`,
    `${cluster.acknowledged} writes acknowledged, all there after each cut`,
  ]
}

/** Since a majority of the hosts had power. */
interface Restarted {
  readonly ledMs: number
  readonly writtenMs: number
}

/** What all nodes on a LAN have in common. */
interface Lan {
  readonly ca: string
  readonly caKey: string
  readonly mdnsPort: number | undefined
}

/** One node a host. */
class Powered implements AsyncDisposable {
  readonly #hosts: Hosts
  readonly #lan: Lan | null
  readonly #directory = mkdtempSync(join(tmpdir(), 'colmena-power-cut-'))
  readonly #acknowledged: number[] = []
  /** Those that serve, by their host. */
  readonly #open = new Map<number, NodeHandle>()
  #lastId = 0

  private constructor(hosts: Hosts, lan: Lan | null) {
    this.#hosts = hosts
    this.#lan = lan
  }

  static async of(hosts: Hosts, by: PowerCutForm['by']): Promise<Powered> {
    if (by === 'addresses') return new Powered(hosts, null)
    const { cert: ca, key: caKey } = await createAuthority()
    const mdnsPort = hosts.missing === null ? undefined : await freeUdpPort()
    return new Powered(hosts, { ca, caKey, mdnsPort })
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  async begin(): Promise<void> {
    for (const at of this.#hosts.all.keys()) await this.#start(at)
    await until('all vote', async () => {
      const members = await this.#node.call('members')
      return members.filter(({ role }) => role === 'voter').length === this.#hosts.all.length
    })
    await this.#node.call('execute', 'CREATE TABLE writes (id INTEGER PRIMARY KEY)')
  }

  /** Resolves amid a write, with nothing running any more. */
  async cutAmidWrites(): Promise<void> {
    const ended = assert.rejects(this.#writeOn(this.#node))
    const wanted = this.acknowledged + WRITES_PER_CUT
    await until(`${wanted} writes`, () => this.acknowledged >= wanted)
    this.#open.clear()
    await this.#hosts.powerCut()
    await ended
  }

  /** Each host has power after its delay. Resolves once all nodes are open. */
  async restart(delays: readonly number[]): Promise<Restarted> {
    const majority = Math.floor(delays.length / 2) + 1
    let powered = 0
    let upMs = Number.NaN
    const starting = delays.map(async (delayMs, at) => {
      await pause(delayMs)
      powered += 1
      if (powered === majority) upMs = performance.now()
      await this.#start(at)
    })
    const all = Promise.all(starting)
    const measured = (async (): Promise<Restarted> => {
      await until('a majority is open', () => this.#open.size >= majority)
      await until('one leads', () => this.#isLed())
      const ledMs = performance.now() - upMs
      await until('a write is acknowledged', () => this.#isWritten())
      return { ledMs, writtenMs: performance.now() - upMs }
    })()
    const [restarted] = await Promise.all([measured, all])
    return restarted
  }

  async check(): Promise<void> {
    const options = { consistency: 'strong' } as const
    const sql = 'SELECT id FROM writes'
    const { rows } = await this.#node.call('execute', sql, [], options)
    const ids = new Set(rows.map(({ id }) => Number(id)))
    const lost = this.#acknowledged.filter((id) => !ids.has(id))
    assert.deepEqual(lost, [], 'acknowledged and lost')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#hosts.powerCut()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** Any that is open. */
  get #node(): NodeHandle {
    const [node] = this.#open.values()
    assert.ok(node !== undefined, 'no node is open')
    return node
  }

  async #start(at: number): Promise<void> {
    const host = this.#hosts.host(at)
    const node = host.startNode()
    const common = { dataDir: join(this.#directory, host.name), bind: host.bind }
    if (this.#lan === null) {
      const way = at === 0 ? { bootstrap: true } : { join: this.#hosts.host(0).bind }
      await node.call('open', { ...common, ...way, nodeId: host.name, secret: SECRET })
    } else {
      const { mdnsPort, ...trust } = this.#lan
      const voterTarget = this.#hosts.all.length
      const where = { ...common, interface: host.multicastAddress }
      const options = { ...where, ...trust, voterTarget, discoveryWindowMs: 3_000 }
      await node.call('form', { by: 'lan', options, internals: { mdnsPort } })
    }
    this.#open.set(at, node)
  }

  async #writeOn(node: NodeHandle): Promise<never> {
    for (;;) {
      const id = ++this.#lastId
      await node.call('execute', 'INSERT INTO writes VALUES (?)', [id])
      this.#acknowledged.push(id)
    }
  }

  async #isLed(): Promise<boolean> {
    const answers = [...this.#open.values()].map((node) => node.call('leader'))
    return (await Promise.all(answers)).some(({ isLeader }) => isLeader)
  }

  /** False while there is no leader that could take it. */
  async #isWritten(): Promise<boolean> {
    const id = ++this.#lastId
    try {
      await this.#node.call('execute', 'INSERT INTO writes VALUES (?)', [id])
      this.#acknowledged.push(id)
      return true
    } catch (error) {
      if ((error as RemoteError).retryable) return false
      throw error
    }
  }
}
