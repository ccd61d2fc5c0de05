import assert from 'node:assert/strict'
import type { LanOptions } from '../../src/lan/lan.ts'
import { until } from '../processes/wait.ts'
import { Load } from './load.ts'
import { Machines } from './machines.ts'

export interface DeploysForm {
  /** Of all machines, one after the other. */
  readonly deploys: number
  readonly electionTimeoutMs: number
  readonly progress?: (line: string) => void
}

const MACHINES = 4
const VOTERS = 3
/** What a deploy may block each write for, as the design has it. */
const ELECTIONS = 3
const LOAD = { clients: 8, restMs: 5 }

/** Four machines of Fly.io, three of which vote. */
export async function openFly(settings: Partial<LanOptions> = {}): Promise<Machines> {
  const machines = await Machines.open(MACHINES)
  await Promise.all(machines.places.map((at) => startMachine(machines, at, settings)))
  await machines.untilOne(VOTERS, MACHINES - VOTERS)
  return machines
}

export async function startMachine(
  machines: Machines,
  at: number,
  settings: Partial<LanOptions> = {},
): Promise<void> {
  const node = await machines.start(at, 'fly', { discoveryWindowMs: 300, ...settings })
  await until('it is healthy', () => node.call('healthy'))
}

/**
 * Rolling deploys of all machines while clients write: each is ended by SIGTERM and started again,
 * with its volume, or as another machine with nothing. No acknowledged write may be missing.
 */
export async function runDeploys(form: DeploysForm): Promise<string[]> {
  const { deploys, electionTimeoutMs, progress = () => {} } = form
  const settings = { electionTimeoutMs }
  await using machines = await openFly(settings)
  const load = await Load.start(machines, LOAD)
  const kept = new Pauses(electionTimeoutMs)
  const anew = new Pauses(electionTimeoutMs)
  for (let deploy = 1; deploy <= deploys; deploy += 1) {
    const replaces = deploy % 2 === 0
    const pauses = replaces ? anew : kept
    for (const at of machines.places) {
      await deployMachine(machines, at, { replaces, settings })
      progress(`deploy ${deploy}, machine ${at + 1}: ${pauses.add(load.lapMs())}`)
    }
  }
  await load.stop()
  await load.check()
  return [
    `${deploys} rolling deploys of ${MACHINES} machines: ${load.acknowledged} writes ` +
      'acknowledged, all there on each machine',
    `longest time that a write was blocked for, with volumes that stay: ${kept.summary}`,
    `with new machines in place of the old ones: ${anew.summary}`,
  ]
}

/** Ends a machine in order, and has it, or another one, back and healthy. */
export async function deployMachine(
  machines: Machines,
  at: number,
  {
    replaces = false,
    settings = {},
  }: { readonly replaces?: boolean; readonly settings?: Partial<LanOptions> } = {},
): Promise<void> {
  const { length } = machines.nodes
  // Whoever takes longer than it may ends by a signal.
  assert.equal(await machines.terminate(at), 0)
  if (replaces) await machines.replace(at)
  await startMachine(machines, at, settings)
  await machines.untilOne(VOTERS, length - VOTERS)
}

/** How long writes were blocked, step by step. */
class Pauses {
  readonly #electionTimeoutMs: number
  readonly #all: number[] = []

  constructor(electionTimeoutMs: number) {
    this.#electionTimeoutMs = electionTimeoutMs
  }

  add(longestMs: number): string {
    const elections = longestMs / this.#electionTimeoutMs
    this.#all.push(elections)
    return `writes blocked for ${elections.toFixed(2)} election timeouts at most`
  }

  get summary(): string {
    if (this.#all.length === 0) return 'none'
    const sorted = [...this.#all].sort((a, b) => a - b)
    const [middle = 0, most = 0] = [sorted[sorted.length >> 1], sorted.at(-1)]
    const good = sorted.filter((elections) => elections <= ELECTIONS).length
    return (
      `half of the steps ${middle.toFixed(2)}, all ${most.toFixed(2)} election timeouts of ` +
      `${this.#electionTimeoutMs} ms; ${good} of ${sorted.length} within ${ELECTIONS}`
    )
  }
}
