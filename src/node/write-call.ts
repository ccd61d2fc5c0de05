import type { ColmenaError } from '../base/errors.ts'
import type { StatementResult, Unit, UnitResult } from '../command/command.ts'
import { Waiting } from './deadlines.ts'
import { errorFromUnit, type StatementPlace } from './failures.ts'

/** How long a write took, in milliseconds since it was called. */
export interface WriteTiming {
  /** Until this node learned that its log entry is committed. */
  readonly committedMs: number
  /** Until this node had applied it. */
  readonly appliedMs: number
}

/** Where in the log a write went, and how long that took. */
export interface WrittenPlace {
  readonly index: number
  readonly term: number
  readonly timing: WriteTiming
}

/** What a unit that was applied answered. */
export interface Written {
  readonly place: WrittenPlace
  readonly statements: readonly StatementResult[]
}

/** A command's log entry, with the moments when it was committed and applied. */
export interface AppliedEntry {
  readonly index: number
  readonly term: number
  readonly committedMs: number
  readonly appliedMs: number
}

/** What a database must be made with, undefined for whatever it is. */
export interface AskedSettings {
  readonly doubleQuotedStrings: boolean | undefined
  readonly changes: boolean | undefined
}

/** What a call wants written, and who is told. */
export interface WriteCallOptions {
  readonly unit: Unit
  /** What it asks of its database, undefined for nothing. */
  readonly asked: AskedSettings
  /** The token of a lease without which it may not apply. */
  readonly fence: number | undefined
  readonly sizeBytes: number
  readonly place: StatementPlace
  readonly resolve: (written: Written) => void
  readonly reject: (error: ColmenaError) => void
  /** The deadline passed before the call was settled. */
  readonly expired: (call: WriteCall) => void
  /** The call is settled: `error` null if it resolves, `timing` null if it was not applied here. */
  readonly settled: (error: ColmenaError | null, timing: WriteTiming | null) => void
}

/** A caller's unit on its way through the log: settled once, by whoever comes first. */
export class WriteCall extends Waiting {
  readonly unit: Unit
  readonly asked: AskedSettings
  readonly fence: number | undefined
  readonly sizeBytes: number
  readonly #options: WriteCallOptions
  /** The sequence of its command once that left for the engine; 0 while it waits here. */
  sequence = 0
  isSettled = false

  constructor(options: WriteCallOptions) {
    super()
    this.unit = options.unit
    this.asked = options.asked
    this.fence = options.fence
    this.sizeBytes = options.sizeBytes
    this.#options = options
  }

  override expire(): void {
    this.#options.expired(this)
  }

  answer({ index, term, committedMs, appliedMs }: AppliedEntry, result: UnitResult): void {
    if (this.isSettled) return
    const { sinceMs } = this
    const timing = { committedMs: committedMs - sinceMs, appliedMs: appliedMs - sinceMs }
    const { place, resolve, reject } = this.#options
    if (result.ok) {
      this.#settle(null, timing)
      resolve({ place: { index, term, timing }, statements: result.statements })
    } else {
      const error = errorFromUnit(result.error, place, index)
      this.#settle(error, timing)
      reject(error)
    }
  }

  fail(error: ColmenaError): void {
    if (this.isSettled) return
    this.#settle(error, null)
    this.#options.reject(error)
  }

  #settle(error: ColmenaError | null, timing: WriteTiming | null): void {
    this.isSettled = true
    this.#options.settled(error, timing)
  }
}
