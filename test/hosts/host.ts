import { type ChildProcess, type ForkOptions, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { NodeHandle, type NodeHandleOptions } from '../processes/node-handle.ts'
import type { Network, Place } from './network.ts'

/** One machine of a rig, as far as its network and its power are concerned; files are shared. */
export class Host {
  readonly #network: Network
  readonly #at: number
  readonly #place: Place
  readonly #children = new Set<ChildProcess>()
  readonly #nodes = new Set<NodeHandle>()
  #isOn = true

  constructor(network: Network, at: number) {
    this.#network = network
    this.#at = at
    this.#place = network.places[at] as Place
  }

  /** `host-1` and so on. */
  get name(): string {
    return `host-${this.#at + 1}`
  }

  /** IPv4. */
  get address(): string {
    return this.#place.address
  }

  /** IPv6, without brackets. */
  get address6(): string {
    return this.#place.address6
  }

  /** One that is free here, and on no two hosts the same where they share an address. */
  get port(): number {
    return this.#place.port
  }

  /** `open`'s option of that name, for this host. */
  get bind(): string {
    return `${this.address}:${this.port}`
  }

  get bind6(): string {
    return `[${this.address6}]:${this.port}`
  }

  /** Of the interface that multicast goes by. */
  get multicastAddress(): string {
    return this.#place.multicastAddress
  }

  /** Starts a script here, with a channel for messages; what it prints goes where options say. */
  run(
    script: URL,
    args: readonly string[] = [],
    { env, ...options }: Omit<ForkOptions, 'execPath' | 'execArgv'> = {},
  ): ChildProcess {
    this.powerOn()
    const { NODE_TEST_CONTEXT: _, ...own } = process.env
    const { path, args: before } = this.#place.runtime
    const child = fork(fileURLToPath(script), args, {
      ...options,
      env: { ...own, ...env },
      execPath: path,
      execArgv: [...before],
    })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  /** A process that runs one node; it has opened nothing yet. */
  startNode(options: Omit<NodeHandleOptions, 'runtime'> = {}): NodeHandle {
    this.powerOn()
    const node = new NodeHandle({ ...options, runtime: this.#place.runtime })
    for (const ended of [...this.#nodes].filter(({ isRunning }) => !isRunning)) {
      this.#nodes.delete(ended)
    }
    this.#nodes.add(node)
    return node
  }

  /** Nothing leaves this host any more, then all its processes are gone: no peer hears of it. */
  async powerCut(): Promise<void> {
    this.#plug(false)
    const ended = [...this.#children].map(async (child) => {
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    })
    await Promise.all([...ended, ...[...this.#nodes].map((node) => node.kill())])
    this.#nodes.clear()
  }

  /** It is reached again; nothing runs on it. */
  powerOn(): void {
    this.#plug(true)
  }

  #plug(isOn: boolean): void {
    if (this.#isOn !== isOn) this.#network.plug(this.#at, isOn)
    this.#isOn = isOn
  }
}
