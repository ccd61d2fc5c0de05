import { PROCESS_FAULTS, type Stage } from './process-faults.ts'
import { type Fault, type FaultKind, LANES, type Lane, laneOf } from './schedule.ts'
import { WIRE_FAULTS } from './wire-faults.ts'

/** What was done, beside what was to be done. */
export interface Done {
  readonly fault: Fault
  readonly beganMs: number
  readonly endedMs: number
  readonly what: string
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

  /** How often there was each kind of fault. */
  get counts(): ReadonlyMap<FaultKind, number> {
    const counts = new Map<FaultKind, number>()
    for (const { fault } of this.done) counts.set(fault.kind, (counts.get(fault.kind) ?? 0) + 1)
    return counts
  }

  async #do(fault: Fault): Promise<void> {
    const beganMs = this.#pastMs
    const what = await this.#begin(fault)
    const done = { fault, beganMs, endedMs: this.#pastMs, what }
    this.done.push(done)
    this.#told(done)
  }

  async #begin(fault: Fault): Promise<string> {
    const { rig, hold } = this.#stage
    if (laneOf(fault.kind) === 'processes') {
      return PROCESS_FAULTS[fault.kind as keyof typeof PROCESS_FAULTS](this.#stage, fault)
    }
    const beganMs = this.#pastMs
    const begin = WIRE_FAULTS[fault.kind as keyof typeof WIRE_FAULTS]
    const what = await begin(rig, fault, hold)
    await hold(Math.max(0, fault.forMs - (this.#pastMs - beganMs)))
    rig.wires.heal()
    return what
  }

  get #pastMs(): number {
    return performance.now() - this.#startedMs
  }
}
