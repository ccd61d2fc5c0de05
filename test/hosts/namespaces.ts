import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Runtime } from '../processes/node-handle.ts'
import type { Network, Place } from './network.ts'

const PORT = 7_000
const HOSTS_MAX = 250
/** With these rights of its own where those of the caller don't do. */
const AS_USER = ['--user', '--map-root-user']
/** Says that it is in, then lasts until whoever began it closes its input, or is no more. */
const HOLD = ['sh', '-c', 'echo in && exec cat']
/** Who ended before the kernel was told to watch for that would never be missed. */
const UNLESS_ORPHAN = ['sh', '-c', 'test "$PPID" = "$0" && exec "$@"']
/** What a rig does in a namespace, in short: fails where one of the tools or rights is missing. */
const TRIAL = [
  'ip link add name a1 type veth peer name a2',
  'tc qdisc add dev a1 clsact',
  'nsenter --target $$ --net -- setpriv --pdeathsig KILL true',
].join(' && ')

/** Why this machine lets nobody make networks, null where it does. */
export function whyNoNamespaces(): string | null {
  try {
    findWayIn()
    return null
  } catch (error) {
    return `no network namespaces here: ${(error as Error).message.trim()}`
  }
}

/** Options of `unshare` with which a namespace can be made, and wires in it. */
function findWayIn(): readonly string[] {
  let failure: unknown
  for (const way of [[], AS_USER]) {
    try {
      execFileSync('unshare', [...way, '--net', 'sh', '-c', TRIAL], { stdio: 'pipe' })
      return way
    } catch (error) {
      failure ??= error
    }
  }
  throw failure
}

/**
 * A namespace for each host and one for the switch between them. Wires are cut at the switch, where
 * frames leave it, by the address of who sent them: so nothing at all passes, and nobody is told.
 */
export class Namespaces implements Network {
  readonly places: readonly Place[]
  readonly #switch: Namespace
  readonly #hosts: readonly Namespace[]
  readonly #cuts = new Set<string>()

  private constructor(middle: Namespace, hosts: readonly Namespace[]) {
    this.#switch = middle
    this.#hosts = hosts
    this.places = hosts.map((host, at) => ({
      address: addressOf(at),
      address6: address6Of(at),
      port: PORT,
      multicastAddress: addressOf(at),
      runtime: host.runtime,
    }))
  }

  static async open(count: number): Promise<Namespaces> {
    if (count > HOSTS_MAX) throw new Error(`${count} hosts, at most ${HOSTS_MAX}`)
    const way = findWayIn()
    const opened: Namespace[] = []
    try {
      const middle = await Namespace.open(way, null)
      opened.push(middle)
      for (let at = 0; at < count; at += 1) opened.push(await Namespace.open(way, middle))
      const network = new Namespaces(middle, opened.slice(1))
      network.#join()
      return network
    } catch (error) {
      await Promise.all(opened.map((namespace) => namespace.close()))
      throw error
    }
  }

  cut(pairs: readonly (readonly [from: number, to: number])[]): void {
    const added = pairs.filter(([from, to]) => !this.#cuts.has(`${from} ${to}`))
    for (const [from, to] of added) this.#cuts.add(`${from} ${to}`)
    this.#switch.run(
      'tc',
      added.map(([from, to]) => {
        const sender = `u32 match ether src ${hardwareAddressOf(from)}`
        // Not `drop`: not every kernel has that one.
        return `filter add ${filterOf(from, to)} ${sender} action mirred egress redirect dev sink`
      }),
    )
  }

  heal(): void {
    const cuts = [...this.#cuts].map((cut) => cut.split(' ').map(Number) as [number, number])
    this.#cuts.clear()
    this.#switch.run(
      'tc',
      cuts.map(([from, to]) => `filter del ${filterOf(from, to)}`),
    )
  }

  plug(at: number, isPlugged: boolean): void {
    this.#switch.run('ip', [`link set dev port${at} ${isPlugged ? 'up' : 'down'}`])
  }

  async close(): Promise<void> {
    await Promise.all([...this.#hosts, this.#switch].map((namespace) => namespace.close()))
  }

  #join(): void {
    this.#switch.run('ip', [
      'link set dev lo up',
      'link add name switch type bridge forward_delay 0 stp_state 0 mcast_snooping 0',
      'link set dev switch up',
      // Of this wire both ends are down: what is sent to it is gone.
      'link add name sink type veth peer name drain',
      ...this.#hosts.flatMap(({ pid }, at) => [
        `link add name port${at} type veth peer name eth0 netns ${pid}`,
        `link set dev port${at} master switch up`,
      ]),
    ])
    this.#switch.run(
      'tc',
      this.#hosts.map((_, at) => `qdisc add dev port${at} clsact`),
    )
    for (const [at, host] of this.#hosts.entries()) {
      host.run('ip', [
        'link set dev lo up',
        `link set dev eth0 address ${hardwareAddressOf(at)}`,
        'link set dev eth0 up',
        `addr add ${addressOf(at)}/24 dev eth0`,
        `addr add ${address6Of(at)}/64 dev eth0 nodad`,
        'route add 224.0.0.0/4 dev eth0',
      ])
    }
  }
}

/** One network namespace, held by a process that ends with this one. */
class Namespace {
  readonly #holder: ChildProcess
  readonly #enter: readonly string[]

  private constructor(holder: ChildProcess, way: readonly string[]) {
    this.#holder = holder
    const user = way.length === 0 ? [] : ['--user', '--preserve-credentials']
    this.#enter = ['--target', String(this.pid), ...user, '--net', '--']
  }

  /** Beside another one, whose user namespace it is then in as well. */
  static async open(way: readonly string[], beside: Namespace | null): Promise<Namespace> {
    const command =
      beside === null || way.length === 0
        ? ['unshare', ...way, '--net', ...HOLD]
        : ['nsenter', ...beside.#enter, 'unshare', '--net', ...HOLD]
    const [program = '', ...args] = command
    const holder = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = once(holder, 'exit').then(() => Promise.reject(new Error(command.join(' '))))
    await Promise.race([once(holder.stdout, 'data'), ended])
    ended.catch(() => {})
    return new Namespace(holder, way)
  }

  get pid(): number {
    return this.#holder.pid ?? 0
  }

  /** Starts a Node.js in here that is killed when this process ends, however it does. */
  get runtime(): Runtime {
    const dying = ['setpriv', '--pdeathsig', 'KILL', ...UNLESS_ORPHAN, String(process.pid)]
    return { path: 'nsenter', args: [...this.#enter, ...dying, process.execPath] }
  }

  /** Many commands of one tool, at once; the first that fails throws. */
  run(tool: 'ip' | 'tc', lines: readonly string[]): void {
    const input = lines.map((line) => `${line}\n`).join('')
    execFileSync('nsenter', [...this.#enter, tool, '-batch', '-'], { input, stdio: 'pipe' })
  }

  async close(): Promise<void> {
    const ended = once(this.#holder, 'exit')
    this.#holder.stdin?.end()
    await ended
  }
}

function addressOf(at: number): string {
  return `10.77.0.${at + 1}`
}

function address6Of(at: number): string {
  return `fdaa:77::${(at + 1).toString(16)}`
}

function hardwareAddressOf(at: number): string {
  return `02:00:00:00:00:${(at + 1).toString(16).padStart(2, '0')}`
}

function filterOf(from: number, to: number): string {
  return `dev port${to} egress pref ${from + 1} protocol all`
}
