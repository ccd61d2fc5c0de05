/**
 * Judges a history whose operations carry the log's own indexes. That is much cheaper than to look
 * for an order, and says more: the order is given, so each answer is what a replay of the log gives
 * at that place, and each level of a read is held to what it promises. O(n log n), and pure.
 */
import { countUpTo, HighestBefore } from './highest-before.ts'
import { type Ended, type LevelOptions, Levels } from './levels.ts'
import type {
  LogAnswer,
  LogOperation,
  LogRead,
  LogRule,
  LogViolation,
  LogWrite,
  LogWritten,
  Replay,
} from './log-history.ts'
import { Versions } from './versions.ts'

export interface LogCheckOptions<Change> extends LevelOptions {
  /**
   * Where a write of unknown outcome turned out to be, by what the cluster holds in the end; null
   * for one that is nowhere. Without it, none of them is anywhere.
   */
  readonly placeOf?: ((operation: LogOperation<Change>) => LogWritten | null) | undefined
}

export interface LogReport {
  /** The first of each rule. */
  readonly violations: readonly LogViolation[]
  /** What was judged. */
  readonly writes: number
  readonly reads: number
}

interface Write<Change> {
  readonly operation: LogOperation<Change>
  readonly input: LogWrite<Change>
  readonly index: number
  readonly at: number | undefined
  /** What it answered, where that is known. */
  readonly outcome: string | undefined
  readonly isAcknowledged: boolean
}

interface Read<Change> {
  readonly operation: LogOperation<Change>
  readonly input: LogRead
  readonly output: LogAnswer
  readonly callMs: number
  readonly returnMs: number
  /** The positions of the log that it can have seen. */
  readonly low: number
  readonly high: number
}

export function checkLogOrder<State, Change>(
  replay: Replay<State, Change>,
  operations: readonly LogOperation<Change>[],
  options: LogCheckOptions<Change> = {},
): LogReport {
  return new LogCheck(replay, operations, options).run()
}

class LogCheck<State, Change> {
  readonly #replay: Replay<State, Change>
  readonly #options: LogCheckOptions<Change>
  /** In the order of the log: the position of each is one more than its place here. */
  readonly #writes: readonly Write<Change>[]
  readonly #reads: readonly Read<Change>[]
  readonly #versions: Versions
  readonly #violations = new Map<LogRule, string>()

  constructor(
    replay: Replay<State, Change>,
    operations: readonly LogOperation<Change>[],
    options: LogCheckOptions<Change>,
  ) {
    this.#replay = replay
    this.#options = options
    this.#writes = placeWrites(operations, options.placeOf ?? (() => null))
    this.#reads = placeReads(operations, this.#writes)
    const questions = this.#reads.flatMap(({ output }) => Object.keys(output.answers))
    this.#versions = new Versions(new Set(questions))
  }

  run(): LogReport {
    this.#versions.replay(
      this.#replay,
      this.#writes.map(({ input }) => input.change),
      (position, outcome) => this.#checkOutcome(position, outcome),
    )
    this.#checkEntries()
    this.#checkOrder()
    this.#checkReads()
    const violations = [...this.#violations].map(([rule, text]) => ({ rule, text }))
    return { violations, writes: this.#writes.length, reads: this.#reads.length }
  }

  #checkOutcome(position: number, outcome: string | undefined): void {
    const write = this.#writes[position - 1] as Write<Change>
    if (outcome === undefined || write.outcome === undefined || write.outcome === outcome) return
    this.#broke('answers', `${show(write)}, where it answers ${outcome}, not ${write.outcome}`)
  }

  /** An entry is of one origin, and no two writes have one place in it. */
  #checkEntries(): void {
    for (const [at, write] of this.#writes.entries()) {
      const before = this.#writes[at - 1]
      if (before?.index !== write.index) continue
      const isSamePlace = before.at !== undefined && before.at === write.at
      if (!isSamePlace && before.input.origin === write.input.origin) continue
      this.#broke('one entry an index', `${show(before)}, and so is ${show(write)}`)
    }
  }

  /** What was acknowledged before a write was called is before it in the log. */
  #checkOrder(): void {
    const acknowledged = this.#writes.filter(({ isAcknowledged }) => isAcknowledged)
    const highest = new HighestBefore(
      acknowledged.map(({ operation, index }) => ({ atMs: operation.returnMs, value: index })),
    )
    for (const write of this.#writes) {
      const before = highest.before(write.operation.callMs)
      if (before < write.index) continue
      this.#broke('order of writes', `${show(write)}, but ${before} had been acknowledged before`)
    }
  }

  #checkReads(): void {
    const seen = new Map<Read<Change>, number>()
    for (const read of this.#reads) {
      if (read.high < read.low) {
        const later = this.#writes[read.high] as Write<Change>
        this.#broke('nothing of later', `${show(read)}, and ended before this: ${show(later)}`)
        continue
      }
      const position = this.#versions.find(read.output.answers, read.low)
      if (position <= read.high) seen.set(read, position)
      else this.#broke('answers', this.#describeWrong(read))
    }
    const levels = new Levels([...this.#endedWrites(), ...endedReads(seen)], this.#options)
    for (const [read] of seen) this.#checkFloors(levels, read)
  }

  #checkFloors(levels: Levels, read: Read<Change>): void {
    const { output, high, low } = read
    for (const { rule, index, position, why } of levels.floorsOf(read)) {
      if (output.index < index) {
        this.#broke(rule, `${show(read)}: ${why} ${index}`)
      } else if (position > low && this.#versions.find(output.answers, position) > high) {
        const write = this.#writes[position - 1] as Write<Change>
        this.#broke(rule, `${show(read)} has an answer from before what ${why}: ${show(write)}`)
      }
    }
  }

  *#endedWrites(): Iterable<Ended> {
    for (const [at, { operation, input, index, isAcknowledged }] of this.#writes.entries()) {
      if (!isAcknowledged) continue
      const { returnMs } = operation
      yield { origin: input.origin, returnMs, index, position: at + 1, isWrite: true }
    }
  }

  #describeWrong(read: Read<Change>): string {
    const { output, low, high } = read
    const wrong = Object.entries(output.answers).find(
      ([question, answer]) => this.#versions.find({ [question]: answer }, low) > high,
    )
    if (wrong === undefined) return `${show(read)}: its answers were never true at one time`
    const [question, answer] = wrong
    const then = this.#versions.answerAt(question, low)
    const position = this.#versions.find({ [question]: answer }, 0)
    let when = 'which it never was'
    if (position < low) when = 'which it was before'
    else if (position < Infinity) when = 'which it is only later'
    return `${show(read)}: ${question} is ${then} there, and the answer ${answer}, ${when}`
  }

  #broke(rule: LogRule, text: string): void {
    if (!this.#violations.has(rule)) this.#violations.set(rule, text)
  }
}

function placeWrites<Change>(
  operations: readonly LogOperation<Change>[],
  placeOf: (operation: LogOperation<Change>) => LogWritten | null,
): readonly Write<Change>[] {
  const writes: Write<Change>[] = []
  for (const operation of operations) {
    const { input, output } = operation
    if (input.kind !== 'write') continue
    const place = output === null ? placeOf(operation) : (output as LogWritten)
    if (place === null) continue
    const { index, at, outcome } = place
    const isAcknowledged = output !== null
    writes.push({ operation, input, index, at, outcome, isAcknowledged })
  }
  return writes.sort(
    (a, b) =>
      a.index - b.index || (a.at ?? 0) - (b.at ?? 0) || a.operation.callMs - b.operation.callMs,
  )
}

/** A read has seen all up to its index, and nothing that was called after it had ended. */
function placeReads<Change>(
  operations: readonly LogOperation<Change>[],
  writes: readonly Write<Change>[],
): readonly Read<Change>[] {
  const indexes = writes.map(({ index }) => index)
  const called = [...writes.keys()].sort(
    (a, b) => (writes[a]?.operation.callMs ?? 0) - (writes[b]?.operation.callMs ?? 0),
  )
  const calledMs = called.map((position) => writes[position]?.operation.callMs ?? 0)
  // Of each and all that were called later: the lowest place in the log.
  const lowest = called.slice()
  for (let i = lowest.length - 2; i >= 0; i -= 1) {
    lowest[i] = Math.min(lowest[i] as number, lowest[i + 1] as number)
  }
  return operations.flatMap((operation) => {
    const { input, output, callMs, returnMs } = operation
    if (input.kind !== 'read' || output === null) return []
    const answer = output as LogAnswer
    const low = countUpTo(indexes, answer.index)
    // What is called in the very moment in which a read ends is not later.
    const end = lowest[countUpTo(calledMs, returnMs)] ?? writes.length
    const high = answer.isExact === true ? Math.min(low, end) : end
    return [{ operation, input, output: answer, callMs, returnMs, low, high }]
  })
}

function endedReads<Change>(seen: ReadonlyMap<Read<Change>, number>): readonly Ended[] {
  return [...seen].map(([{ input, output, returnMs }, position]) => {
    const { origin } = input
    return { origin, returnMs, index: output.index, position, isWrite: false }
  })
}

function show<Change>(what: Write<Change> | Read<Change>): string {
  const { client, callMs, returnMs } = what.operation
  const until = returnMs === Infinity ? '…' : returnMs
  const who = `client ${client} [${callMs}, ${until}] on ${what.input.origin}`
  if ('output' in what) return `${who}: ${what.output.level} read at ${what.output.index}`
  return `${who}: write ${JSON.stringify(what.input.change)} is at ${what.index}`
}
