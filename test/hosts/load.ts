import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeHandle, RemoteError } from '../processes/node-handle.ts'
import type { Machines } from './machines.ts'

export interface LoadOptions {
  readonly clients: number
  /** Of each client after a write. */
  readonly restMs: number
}

const AGAIN_MS = 10
const TABLE = 'CREATE TABLE writes (id INTEGER PRIMARY KEY)'

/**
 * Clients that write one row after another, each by the machine that it is at, and by the next one
 * while that is not open. What fails they try anew, as another row.
 */
export class Load {
  readonly #machines: Machines
  readonly #running: Promise<void>[] = []
  readonly #acknowledged: number[] = []
  /** Since when each client waits for its write. */
  readonly #sinceMs: number[] = []
  #longestMs = 0
  #lastId = 0
  #isStopping = false

  private constructor(machines: Machines) {
    this.#machines = machines
  }

  static async start(machines: Machines, { clients, restMs }: LoadOptions): Promise<Load> {
    const load = new Load(machines)
    await load.#nodeFor(0).call('execute', TABLE)
    for (let client = 0; client < clients; client += 1) {
      load.#running.push(load.#run(client, restMs))
    }
    return load
  }

  get acknowledged(): number {
    return this.#acknowledged.length
  }

  /** For how long at most a client had to wait for a write, since this was asked last. */
  lapMs(): number {
    const nowMs = performance.now()
    const waiting = this.#sinceMs.map((sinceMs) => nowMs - sinceMs)
    const longestMs = Math.max(this.#longestMs, ...waiting)
    this.#longestMs = 0
    return longestMs
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
  }

  /** Every row that was acknowledged by now is on every machine. */
  async check(): Promise<void> {
    for (const node of this.#machines.nodes) {
      const acknowledged = [...this.#acknowledged]
      const options = { consistency: 'strong' } as const
      const { rows } = await node.call('execute', 'SELECT id FROM writes', [], options)
      const ids = new Set(rows.map(({ id }) => Number(id)))
      const lost = acknowledged.filter((id) => !ids.has(id))
      assert.deepEqual(lost, [], 'acknowledged and lost')
    }
  }

  async #run(client: number, restMs: number): Promise<void> {
    while (!this.#isStopping) {
      const sinceMs = performance.now()
      this.#sinceMs[client] = sinceMs
      while (!(await this.#writes(client)) && !this.#isStopping) await pause(AGAIN_MS)
      this.#longestMs = Math.max(this.#longestMs, performance.now() - sinceMs)
      this.#sinceMs[client] = Number.POSITIVE_INFINITY
      await pause(restMs)
    }
  }

  /** False where it failed, or nobody knows. */
  async #writes(client: number): Promise<boolean> {
    this.#lastId += 1
    const id = this.#lastId
    const node = this.#nodeFor(client)
    try {
      await node.call('execute', 'INSERT INTO writes VALUES (?)', [id])
      this.#acknowledged.push(id)
      return true
    } catch (error) {
      const { code, retryable } = error as Partial<RemoteError>
      // Its process, or its node, is about to be gone.
      if (retryable || code === 'ERR_CLOSED' || !node.isRunning) return false
      throw error
    }
  }

  #nodeFor(client: number): NodeHandle {
    const { nodes } = this.#machines
    const node = nodes[client % nodes.length]
    assert.ok(node !== undefined, 'no machine is open')
    return node
  }
}
