/** A log on a simulated disk, driven by hand, beside the model of what it must hold. */
import assert from 'node:assert/strict'
import type { ColmenaError } from '../../src/base/errors.ts'
import { createLog, type Log, type LogOptions, openLog, type Recovered } from '../../src/log/log.ts'
import { SimulatedDisk } from '../simulated/disk.ts'
import { SeededRandom } from '../simulated/random.ts'
import {
  advance,
  describeLog,
  describeState,
  emptyState,
  isPromised,
  type LogState,
  type Operation,
} from './model.ts'

export type Outcome = ColmenaError | Recovered

export class LogRig {
  readonly random: SeededRandom
  readonly disk: SimulatedDisk
  readonly options: LogOptions
  /** Every state that the log went through, in order; the last is what was asked for. */
  states: LogState[] = [emptyState]
  /** The position in `states` below which nothing may be lost. */
  promised = 0
  fatals: Error[] = []
  nowMs = 0
  log: Log | null = null

  constructor(seed: number | string, options: Partial<LogOptions> = {}) {
    this.random = new SeededRandom(seed)
    this.disk = new SimulatedDisk({ random: this.random.stream('disk') })
    this.options = {
      disk: this.disk,
      directory: 'log',
      clusterId: new Uint8Array(16).fill(7),
      memberId: 1,
      segmentBytes: 8192,
      cacheBytesMax: 2_000,
      readCacheBytesMax: 3_000,
      random: this.random.stream('log'),
      clock: { nowMs: () => this.nowMs },
      fatal: (error) => this.fatals.push(error),
      ...options,
    }
  }

  get state(): LogState {
    return this.states[this.states.length - 1] as LogState
  }

  /** The open log. */
  get opened(): Log {
    assert.ok(this.log !== null, 'no log is open')
    return this.log
  }

  create(): void {
    createLog(this.options, null, emptyState.hardState, (error, recovered) => {
      assert.equal(error, null)
      this.log = (recovered as Recovered).log
    })
    this.disk.settle()
  }

  submit(operation: Operation): void {
    this.states.push(advance(this.state, operation))
    const position = this.states.length - 1
    const done = (error: Error | null): void => {
      if (error === null && isPromised(operation)) this.promised = position
    }
    if (operation.kind === 'compact') this.opened.compact(operation.index, done)
    else this.opened.append(operation.batch, done)
  }

  /** Opens the log; undefined if the disk stopped before it was open. */
  open(other: Partial<LogOptions> = {}): Outcome | undefined {
    let outcome: Outcome | undefined
    openLog({ ...this.options, ...other }, (error, recovered) => {
      outcome = error ?? (recovered as Recovered)
    })
    this.disk.settle()
    return outcome
  }

  /** Opens the log, which must succeed and hold exactly one of the states it may hold. */
  reopen(): void {
    const outcome = this.open()
    if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error('stopped')
    const { hardState, snapshot } = outcome
    const found = describeLog(outcome.log, hardState, snapshot, () => this.disk.settle())
    const allowed = this.states.slice(this.promised)
    const at = allowed.findIndex((state) => describeModel(state) === found)
    if (at < 0) {
      assert.fail(
        `recovered ${found}\nallowed: states ${this.promised} to ${this.states.length - 1}, ` +
          `the first being ${describeModel(allowed[0] as LogState)}`,
      )
    }
    this.states = [allowed[at] as LogState]
    this.promised = 0
    this.log = outcome.log
  }

  check(): void {
    const { hardState, snapshot } = this.state
    const found = describeLog(this.opened, hardState, snapshot, () => this.disk.settle())
    assert.equal(found, describeModel(this.state))
  }
}

function describeModel(state: LogState): string {
  const known = described.get(state)
  if (known !== undefined) return known
  const text = describeState(state)
  described.set(state, text)
  return text
}

const described = new WeakMap<LogState, string>()
