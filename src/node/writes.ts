import { assert } from '../base/assert.ts'
import { ColmenaError, type Outcome } from '../base/errors.ts'
import { type CommandResult, type Unit, WriteEncoder } from '../command/command.ts'
import { SYSTEM, type TimedResult } from '../database/database.ts'
import type { EngineToUser } from '../engine/engine.ts'
import type { CallCounts } from './call-counts.ts'
import type { Deadlines } from './deadlines.ts'
import { abortedError, errorFromMessage, type StatementPlace } from './failures.ts'
import { refusalOfWrites } from './readiness.ts'
import { keepStatement, releaseStatement, statementSizeBytes } from './statement.ts'
import { WriteCall, type Written } from './write-call.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** Bounds of what waits and what leaves together. */
export interface WriteLimits {
  /** Commands of one database that are unanswered; what arrives meanwhile shares the next. */
  readonly inflightCommandsMax: number
  readonly commandBytesMax: number
  readonly commandUnitsMax: number
  readonly unitBytesMax: number
  /** Of the whole node; beyond it callers hear ERR_BUSY at once. */
  readonly pendingBytesMax: number
}

export const WRITE_LIMITS: WriteLimits = Object.freeze({
  inflightCommandsMax: 2,
  commandBytesMax: 256 * KIB,
  commandUnitsMax: 2_048,
  unitBytesMax: 4 * MIB,
  pendingBytesMax: 8 * MIB,
})

type RejectedWrites = Extract<EngineToUser, { readonly kind: 'rejected' }>

/** What became of a command whose caller waits no longer. */
export interface WriteOutcome {
  readonly outcome: Outcome
  readonly index?: number | undefined
}

export interface WritesOptions {
  /** 32 hexadecimal digits. */
  readonly origin: string
  readonly rejectsNonDeterminism?: boolean | undefined
  readonly deadlines: Deadlines
  readonly applyLagMs: () => number
  /** Why this machine applies nothing, null while it does. */
  readonly haltedReason: () => string | null
  readonly counts: Pick<CallCounts, 'writeAnswered' | 'writeFailed'>
  /** Takes a command towards the log; its bytes are the engine's from here on. */
  readonly post: (database: string, sequence: number, bytes: Uint8Array<ArrayBuffer>) => void
  /** Never rejects, and always answers in a bounded time. */
  readonly askOutcome: (database: string, sequence: number) => Promise<WriteOutcome>
}

/** A command that left: its calls in the order of its units. */
interface Command {
  readonly calls: readonly WriteCall[]
  outcome: Promise<WriteOutcome> | null
}

/** The writes of one database. */
interface Lane {
  readonly database: string
  readonly inflight: Map<number, Command>
  /** Calls that were settled while they waited stay in it until they are passed over. */
  waiting: WriteCall[]
  nextSequence: number
  isScheduled: boolean
}

export interface WriteRequest {
  readonly database: string
  /** What the call asks of its database, undefined for nothing. */
  readonly doubleQuotedStrings?: boolean | undefined
  readonly changes?: boolean | undefined
  /** The token of a lease without which it may not apply. */
  readonly fence?: number | undefined
  readonly unit: Unit
  readonly place: StatementPlace
  readonly signal: AbortSignal | undefined
  /** Of calls that take longer than others, in place of what all have. */
  readonly deadlines?: Deadlines | undefined
}

/**
 * The way of this node's writes to its engine and back. A command is whatever arrived while the
 * ones before it were in flight: no timer, and a lone write leaves in the turn that made it. What
 * became of a call that gave up is asked, never guessed.
 */
export class Writes {
  readonly #options: WritesOptions
  readonly #lanes = new Map<string, Lane>()
  #pendingBytes = 0
  #pendingCount = 0
  #drained: (() => void)[] = []
  /** Calls taken so far, for the status. */
  count = 0

  constructor(options: WritesOptions) {
    this.#options = options
  }

  get pendingCount(): number {
    return this.#pendingCount
  }

  /**
   * Resolves once this node has applied the unit.
   *
   * @throws ColmenaError what the statement answers, or why the write did not get that far.
   */
  submit(request: WriteRequest): Promise<Written> {
    let sizeBytes = 0
    for (const statement of request.unit.statements) sizeBytes += statementSizeBytes(statement)
    const refusal = this.#refusal(sizeBytes)
    if (refusal !== null) {
      this.#options.counts.writeFailed(refusal)
      return Promise.reject(refusal)
    }
    return new Promise((resolve, reject) => this.#take(request, sizeBytes, resolve, reject))
  }

  /** @throws ColmenaError where this node takes no writes for now. */
  checkAccepted(): void {
    const refusal = this.#refusal(0)
    if (refusal !== null) throw refusal
  }

  /** Resolves when nothing is under way. */
  drained(): Promise<void> {
    if (this.#pendingCount === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  /** The storage thread applied a command of ours. */
  answered(
    { database, sequence, index, term, units }: CommandResult,
    { committedMs, appliedMs }: Pick<TimedResult, 'committedMs' | 'appliedMs'>,
  ): void {
    const command = this.#finished(database, sequence)
    if (command === null) return
    assert(units.length === command.calls.length, 'a command has one result per unit')
    const place = { index, term, committedMs, appliedMs }
    for (let i = 0; i < units.length; i += 1) {
      const call = command.calls[i] as WriteCall
      call.answer(place, units[i] as (typeof units)[number])
    }
  }

  /** The engine gave commands up: they will never apply. */
  rejected({ database, from, to, error: message }: RejectedWrites): void {
    const error = errorFromMessage(message)
    for (let sequence = from; sequence <= to; sequence += 1) {
      for (const call of this.#finished(database, sequence)?.calls ?? []) call.fail(error)
    }
  }

  /** Commands up to `sequence` are in a snapshot that took the files' place, without answers. */
  jumpedOver(database: string, sequence: number): void {
    const lane = this.#lanes.get(database)
    if (lane === undefined) return
    for (const [own, command] of lane.inflight) {
      if (own > sequence) continue
      this.#finished(database, own)
      for (const call of command.calls) call.fail(lostResult())
    }
  }

  /** Settles everything that waits: `waiting` what never left, `sent` what did. */
  failAll(waiting: ColmenaError, sent: ColmenaError): void {
    for (const lane of this.#lanes.values()) {
      const commands = [...lane.inflight.values()]
      lane.inflight.clear()
      for (const command of commands) for (const call of command.calls) call.fail(sent)
      const calls = lane.waiting
      lane.waiting = []
      for (const call of calls) call.fail(waiting)
    }
  }

  #refusal(sizeBytes: number): ColmenaError | null {
    const { unitBytesMax, pendingBytesMax } = WRITE_LIMITS
    if (sizeBytes > unitBytesMax) {
      return new ColmenaError(
        'ERR_TOO_LARGE',
        `the write is ${sizeBytes} bytes with its arguments, at most ${unitBytesMax} go through ` +
          'the log at once: split it',
      )
    }
    if (this.#pendingBytes + sizeBytes > pendingBytesMax) {
      return new ColmenaError(
        'ERR_BUSY',
        `${this.#pendingBytes} bytes of writes wait on this node already, at most ` +
          `${pendingBytesMax} may: wait for some of them, then try again`,
        { retryable: true },
      )
    }
    const { haltedReason, applyLagMs } = this.#options
    return refusalOfWrites({ haltedReason: haltedReason(), lagMs: applyLagMs() })
  }

  #take(
    request: WriteRequest,
    sizeBytes: number,
    resolve: (written: Written) => void,
    reject: (error: ColmenaError) => void,
  ): void {
    const { doubleQuotedStrings, changes, fence, unit, place, signal } = request
    const { deadlines = this.#options.deadlines } = request
    const lane = this.#lane(request.database)
    let abort: (() => void) | null = null
    const call = new WriteCall({
      unit: { ...unit, statements: unit.statements.map(keepStatement) },
      asked: { doubleQuotedStrings, changes },
      fence,
      sizeBytes,
      place,
      resolve,
      reject,
      expired: () => {
        const { timeoutMs } = deadlines
        this.#giveUp(lane, call, (outcome) => this.#timeoutError(outcome, timeoutMs))
      },
      settled: (error, timing) => {
        deadlines.remove(call)
        if (abort !== null) signal?.removeEventListener('abort', abort)
        const { counts } = this.#options
        if (timing === null) counts.writeFailed(error)
        else counts.writeAnswered(timing, error)
        this.#settled(call)
      },
    })
    if (signal !== undefined) {
      abort = () => {
        this.#giveUp(lane, call, ({ outcome, index }) => abortedError(signal, outcome, index))
      }
      signal.addEventListener('abort', abort, { once: true })
    }
    this.count += 1
    this.#pendingCount += 1
    this.#pendingBytes += sizeBytes
    deadlines.add(call)
    lane.waiting.push(call)
    this.#schedule(lane)
  }

  #lane(database: string): Lane {
    let lane = this.#lanes.get(database)
    if (lane === undefined) {
      lane = {
        database,
        inflight: new Map(),
        waiting: [],
        nextSequence: 1,
        isScheduled: false,
      }
      this.#lanes.set(database, lane)
    }
    return lane
  }

  /** In a microtask, so that all calls of one turn, and all callers just answered, share it. */
  #schedule(lane: Lane): void {
    if (lane.isScheduled || lane.inflight.size >= WRITE_LIMITS.inflightCommandsMax) return
    lane.isScheduled = true
    queueMicrotask(() => {
      lane.isScheduled = false
      this.#flush(lane)
    })
  }

  #flush(lane: Lane): void {
    const { inflightCommandsMax } = WRITE_LIMITS
    while (lane.waiting.length > 0 && lane.inflight.size < inflightCommandsMax) {
      this.#send(lane)
    }
  }

  /** One command from the front of what waits. */
  #send(lane: Lane): void {
    const { commandBytesMax, commandUnitsMax } = WRITE_LIMITS
    const encoder = new WriteEncoder()
    const calls: WriteCall[] = []
    let at = 0
    for (; at < lane.waiting.length && calls.length < commandUnitsMax; at += 1) {
      const call = lane.waiting[at] as WriteCall
      if (call.isSettled) continue
      if (calls[0] !== undefined && !sharesCommand(calls[0], call)) break
      if (calls.length > 0 && encoder.sizeBytes + call.sizeBytes > commandBytesMax) break
      encoder.add(call.unit)
      call.unit.statements.forEach(releaseStatement)
      calls.push(call)
    }
    lane.waiting = at === lane.waiting.length ? [] : lane.waiting.slice(at)
    if (calls.length === 0) return
    const sequence = lane.nextSequence
    lane.nextSequence += 1
    for (const call of calls) call.sequence = sequence
    lane.inflight.set(sequence, { calls, outcome: null })
    const { origin, rejectsNonDeterminism, post } = this.#options
    const { database } = lane
    const { asked, fence } = calls[0] as WriteCall
    // What the cluster keeps for itself is no SQL of a user's.
    const kind = database === SYSTEM ? 'leases' : 'write'
    const header = { kind, origin, database, sequence, ...asked, rejectsNonDeterminism } as const
    post(database, sequence, encoder.finish(header, { fence }))
  }

  /** Takes a command out of flight and lets the next one go. */
  #finished(database: string, sequence: number): Command | null {
    const lane = this.#lanes.get(database)
    const command = lane?.inflight.get(sequence)
    if (lane === undefined || command === undefined) return null
    lane.inflight.delete(sequence)
    if (lane.waiting.length > 0) this.#schedule(lane)
    return command
  }

  /** A call that never left is taken back; of another one the engine says what became of it. */
  #giveUp(lane: Lane, call: WriteCall, toError: (outcome: WriteOutcome) => ColmenaError): void {
    const command = lane.inflight.get(call.sequence)
    if (call.sequence === 0 || command === undefined) {
      call.fail(toError({ outcome: call.sequence === 0 ? 'not-applied' : 'unknown' }))
      return
    }
    command.outcome ??= this.#options.askOutcome(lane.database, call.sequence)
    void command.outcome.then((outcome) => call.fail(toError(outcome)))
  }

  #timeoutError({ outcome, index }: WriteOutcome, timeoutMs: number): ColmenaError {
    const words = {
      'not-applied': 'it never left this node, and never will',
      committed:
        `it is committed at index ${index}, where every node runs it once; a read with ` +
        `{ after: ${index} } tells what came of it`,
      unknown: 'whether it will still be applied is not known: read before you repeat it',
    }
    const halted = this.#options.haltedReason()
    const why = halted === null ? '' : ` (this node can't write its databases: ${halted})`
    return new ColmenaError(
      'ERR_TIMEOUT',
      `the write was not answered within ${timeoutMs} ms; ${words[outcome]}${why}`,
      { retryable: outcome === 'not-applied', outcome, index },
    )
  }

  #settled(call: WriteCall): void {
    this.#pendingBytes -= call.sizeBytes
    this.#pendingCount -= 1
    if (this.#pendingCount > 0 || this.#drained.length === 0) return
    const drained = this.#drained
    this.#drained = []
    for (const resolve of drained) resolve()
  }
}

/** What a command asks and needs holds for all its units. */
function sharesCommand({ asked, fence, unit }: WriteCall, call: WriteCall): boolean {
  if (unit.compacts || call.unit.compacts) return false
  const { doubleQuotedStrings, changes } = call.asked
  if (asked.doubleQuotedStrings !== doubleQuotedStrings || asked.changes !== changes) return false
  return fence === call.fence
}

export function lostResult(): ColmenaError {
  return new ColmenaError(
    'ERR_RESULT_LOST',
    'this node fell so far behind that it received whole databases in place of the log: the ' +
      'write was decided in them, but what it answered is not known here. Read before repeating it',
    { outcome: 'unknown' },
  )
}
