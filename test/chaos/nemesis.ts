import type { Struck } from './acting.ts'
import { PROCESS_FAULTS, type Stage } from './process-faults.ts'
import { type Fault, type FaultKind, LANES, type Lane, laneOf } from './schedule.ts'
import { WIRE_FAULTS } from './wire-faults.ts'

/** What was done, beside what was to be done. */
export interface Done extends Struck {
  readonly fault: Fault
  readonly beganMs: number
  readonly endedMs: number
}

/** Of one kind of fault: how often it began, and how often it did something to a node. */
export interface FaultCount {
  readonly begun: number
  readonly struck: number
}

/** Does what a schedule says: one fault at a time in each lane, both lanes at once. */
export class Nemesis {
  readonly done: Done[] = []
  readonly #stage: Stage
  readonly #told: (done: Done) => void
  #startedMs = 0

  constructor(stage: Stage, told: (done: Done) => void) {
    this.#stage = stage
    this.#told = told
  }

  async run(schedule: readonly Fault[], signal: AbortSignal): Promise<void> {
    this.#startedMs = performance.now()
    const lanes = Object.keys(LANES) as Lane[]
    await Promise.all(
      lanes.map(async (lane) => {
        for (const fault of schedule.filter(({ kind }) => laneOf(kind) === lane)) {
          await this.#stage.hold(Math.max(0, fault.atMs - this.#pastMs))
          if (signal.aborted) return
          await this.#do(fault)
        }
      }),
    )
  }

  get counts(): ReadonlyMap<FaultKind, FaultCount> {
    const counts = new Map<FaultKind, FaultCount>()
    for (const { fault, strikes } of this.done) {
      const { begun, struck } = counts.get(fault.kind) ?? { begun: 0, struck: 0 }
      const isStruck = strikes > 0 ? 1 : 0
      counts.set(fault.kind, { begun: begun + 1, struck: struck + isStruck })
    }
    return counts
  }

  async #do(fault: Fault): Promise<void> {
    const beganMs = this.#pastMs
    const struck = await this.#begin(fault)
    const done = { fault, beganMs, endedMs: this.#pastMs, ...struck }
    this.done.push(done)
    this.#told(done)
  }

  async #begin(fault: Fault): Promise<Struck> {
    const { rig, hold } = this.#stage
    if (laneOf(fault.kind) === 'processes') {
      return PROCESS_FAULTS[fault.kind as keyof typeof PROCESS_FAULTS](this.#stage, fault)
    }
    const beganMs = this.#pastMs
    const before = rig.wires.strikes
    const begin = WIRE_FAULTS[fault.kind as keyof typeof WIRE_FAULTS]
    const what = await begin(rig, fault, hold)
    await hold(Math.max(0, fault.forMs - (this.#pastMs - beganMs)))
    rig.wires.heal()
    return { what, strikes: rig.wires.strikes - before }
  }

  get #pastMs(): number {
    return performance.now() - this.#startedMs
  }
}
