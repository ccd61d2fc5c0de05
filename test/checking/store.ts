/** A replicated store in memory: right, or wrong in one known way. What checkers are for. */
import { SeededRandom } from '../simulated/random.ts'
import { HistoryRecorder } from './history.ts'
import type { LogAnswer, LogInput, LogOperation, LogOutput, LogWritten } from './log-history.ts'
import type { Operation } from './operation.ts'
import type { Workload } from './workloads.ts'

/** What is wrong with a store. The last ones break a promise of the log or of a level alone. */
export type Bug =
  | 'stale cache'
  | 'lost write'
  | 'duplicate write'
  | 'write skew'
  | 'lost update'
  | 'read uncommitted'
  | 'torn batch'
  | 'unknown write twice'
  | 'reads of another replica'
  | 'strong reads of an old leader'
  | 'lost tail'
  | 'swapped entries'
  | 'failed write applied'
  | 'looks first, writes later'
  | 'value of nobody'
  | 'index too high'
  | 'own write missing'
  | 'after ignored'
  | 'lease too old'
  | 'staleness ignored'
  | 'weak without asking'
  | 'file goes back'

export interface StoreOptions {
  readonly seed: number
  readonly operations: number
  readonly clients: number
  readonly bug: Bug | null
}

export const LEASE_MS = 40
export const DEPOSED_MS = 40

const TROUBLES = 15
const NO_MARK = { atMs: -1e9, position: 0 }

interface Entry<Input> {
  readonly input: Input
  readonly index: number
}

interface Node {
  name: string
  lives: number
  /** How many entries it has applied. */
  position: number
  /** As of when all that was acknowledged is at a position. */
  mark: { readonly atMs: number; readonly position: number }
  cache: unknown
  /** Until then it hears of nothing. */
  cutOffUntilMs: number
}

interface Flight<Input> {
  readonly client: number
  readonly call: number
  readonly callMs: number
  readonly node: Node
  readonly origin: string
  /** As a write is when it is proposed. */
  input: Input
  readonly level: LogAnswer['level'] | null
  readonly maxStalenessMs: number | undefined
  /** Of a transaction: how long the log was when it read. */
  base: number | null
  /** What it was found to answer before it was proposed. */
  judged: string | undefined
  /** Its position in the log, or the one that it needs; 0 for none yet. */
  position: number
  hasAsked: boolean
  isAbandoned: boolean
  isRepeated: boolean
  leaderCommit: number
  output: LogOutput | null
}

export interface StoreHistory<Input, Output> {
  readonly log: readonly LogOperation<Input>[]
  /** The writes and strong reads of it, as the workload's model takes them. */
  readonly operations: readonly Operation<Input, Output>[]
  readonly placeOf: (operation: LogOperation<Input>) => LogWritten | null
}

export class Store<State, Input, Output> {
  readonly #workload: Workload<State, Input, Output>
  readonly #options: StoreOptions
  readonly #random: SeededRandom
  readonly #recorder: HistoryRecorder<LogInput<Input>, LogOutput>
  readonly #nodes: Node[]
  /** The state at each position of the log. */
  readonly #states: State[]
  readonly #entries: Entry<Input>[] = []
  /** By when a write was called: no two are in one moment. */
  readonly #placed = new Map<number, LogWritten>()
  #flights: Flight<Input>[] = []
  #oldLeader: { readonly position: number; readonly untilMs: number } | null = null
  #index = 0
  #nowMs = 0
  #clients = 0
  #acknowledged = 0

  constructor(workload: Workload<State, Input, Output>, options: StoreOptions) {
    this.#workload = workload
    this.#options = options
    this.#random = new SeededRandom(options.seed)
    this.#states = [workload.initial]
    this.#recorder = new HistoryRecorder({
      nowMs: () => this.#nowMs,
      operationsMax: options.operations,
    })
    this.#nodes = ['a', 'b', 'c'].map((name) => {
      return { name, lives: 1, position: 0, mark: NO_MARK, cache: null, cutOffUntilMs: 0 }
    })
  }

  run(): StoreHistory<Input, Output> {
    while (!this.#recorder.isFull) this.#step(true)
    for (let step = 0; step < 200 && this.#flights.length > 0; step += 1) this.#step(false)
    const log = this.#recorder.operations
    return {
      log,
      operations: log.flatMap((operation) => this.#toOperation(operation)),
      placeOf: ({ callMs }) => this.#placed.get(callMs) ?? null,
    }
  }

  #is(bug: Bug, chance = 0.3): boolean {
    return this.#options.bug === bug && this.#random.chance(chance)
  }

  #step(mayCall: boolean): void {
    const random = this.#random
    this.#nowMs += 1
    const kind = random.below(100)
    if (kind < 2) {
      random.pick(this.#nodes).cutOffUntilMs = this.#nowMs + 150
    } else if (kind < 30) {
      if (mayCall && this.#flights.length < this.#options.clients) this.#call()
    } else if (kind < 55) {
      const node = this.#pickLinked()
      if (node.position < this.#entries.length) node.position += 1
    } else if (kind < 65) {
      const node = this.#pickLinked()
      node.mark = { atMs: this.#nowMs, position: this.#entries.length }
    } else if (kind < 66) {
      if (this.#isTrouble) this.#restart(random.pick(this.#nodes))
    } else if (kind < 68) {
      this.#changeLeader()
    } else if (kind < 71) {
      if (this.#isTrouble) this.#giveUp()
    } else if (this.#flights.length > 0) {
      this.#advance(random.pick(this.#flights))
    }
  }

  /** As often in a long history as in a short one: each outcome that nobody knows is a fork. */
  get #isTrouble(): boolean {
    return this.#random.below(this.#options.operations) < TROUBLES
  }

  #pickLinked(): Node {
    const linked = this.#nodes.filter((node) => node.cutOffUntilMs < this.#nowMs)
    return this.#random.pick(linked.length === 0 ? this.#nodes : linked)
  }

  #call(): void {
    const random = this.#random
    const node = random.pick(this.#nodes)
    const origin = `${node.name}.${node.lives}`
    this.#clients += 1
    const isRead = random.chance(0.5)
    const input = isRead
      ? random.pick(this.#workload.reads)
      : this.#workload.drawWrite(random, this.#clients)
    const level = isRead
      ? random.pick(['strong', 'strong', 'weak', 'lease', 'none'] as const)
      : null
    const after = level !== null && random.chance(0.3) ? this.#acknowledged : undefined
    const maxStalenessMs = level === 'none' && random.chance(0.5) ? 30 : undefined
    const told: LogInput<Input> = isRead
      ? { kind: 'read', origin, after, maxStalenessMs }
      : { kind: 'write', origin, change: input }
    const call = this.#recorder.called(this.#clients, told)
    const old = this.#liveOldLeader()
    const flight: Flight<Input> = {
      ...{
        client: this.#clients,
        call,
        callMs: this.#nowMs,
        node,
        origin,
        input,
        level,
        maxStalenessMs,
        base: null,
      },
      ...{ judged: undefined, hasAsked: false, output: null },
      ...{ isAbandoned: false, isRepeated: false },
      position: after === undefined || this.#is('after ignored', 1) ? 0 : this.#positionOf(after),
      leaderCommit: this.#indexAt(Math.min(this.#entries.length, old ?? Infinity)),
    }
    this.#flights.push(flight)
  }

  #advance(flight: Flight<Input>): void {
    if (flight.output !== null) {
      this.#end(flight)
      this.#recorder.done(flight.call, flight.output)
      const isWrite = flight.level === null
      if (isWrite) this.#acknowledged = Math.max(this.#acknowledged, flight.output.index)
    } else if (flight.level !== null) {
      this.#advanceRead(flight, flight.level)
    } else if (flight.position === 0) {
      this.#advanceWrite(flight)
    } else if (flight.node.position >= flight.position || this.#is('own write missing', 1)) {
      if (!flight.isAbandoned) flight.output = this.#placed.get(flight.callMs) ?? null
    }
  }

  #advanceWrite(flight: Flight<Input>): void {
    const { begin } = this.#workload
    if (begin !== undefined && flight.base === null) {
      flight.base = this.#entries.length
      flight.input = begin(this.#states.at(-1) as State, flight.input)
      const { origin, input: change } = flight
      this.#recorder.amended(flight.call, { kind: 'write', origin, change })
      return
    }
    if (flight.judged === undefined && this.#options.bug === 'looks first, writes later') {
      flight.judged = this.#outcome(flight.input)
      return
    }
    if (flight.base !== null && !this.#mayCommit(flight)) {
      this.#end(flight)
      this.#recorder.failed(flight.call)
    } else {
      this.#propose(flight)
    }
  }

  #mayCommit({ base, input }: Flight<Input>): boolean {
    const { bug } = this.#options
    if (bug === 'lost update') return true
    const later = this.#entries.slice(base ?? 0)
    if (bug !== 'write skew') return later.length === 0
    const written = new Set(writtenKeys(input))
    return later.every((entry) => writtenKeys(entry.input).every((key) => !written.has(key)))
  }

  #propose(flight: Flight<Input>): void {
    const { input } = flight
    if (this.#random.chance(0.2)) this.#index += 1
    this.#index += 1
    const outcome = flight.judged ?? this.#outcome(input)
    const place = { index: this.#index, outcome, at: 0 }
    this.#placed.set(flight.callMs, place)
    flight.position = this.#entries.length + 1
    if (this.#is('lost write', 0.1) && !flight.isAbandoned) {
      flight.position -= 1
      flight.output = place
      return
    }
    this.#append(input, flight.judged)
    if (this.#is('duplicate write', 0.1)) {
      const again = this.#workload.run(this.#states.at(-1) as State, input)
      this.#states[this.#states.length - 1] = again.state
    }
    if (!flight.isAbandoned) return
    const isTwice = this.#options.bug === 'unknown write twice' && !flight.isRepeated
    if (isTwice) {
      flight.isRepeated = true
      flight.position = 0
    } else this.#end(flight)
  }

  #append(input: Input, judged: string | undefined): void {
    const { run, force } = this.#workload
    const before = this.#states.at(-1) as State
    const { state } = run.call(this.#workload, before, input) as { state: State }
    const isForced = judged === JSON.stringify({ isDone: true })
    const isDropped = judged !== undefined && !isForced
    this.#entries.push({ input, index: this.#index })
    if (isForced) this.#states.push(force?.(before, input) ?? state)
    else this.#states.push(isDropped ? before : state)
  }

  #advanceRead(flight: Flight<Input>, level: LogAnswer['level']): void {
    const { node } = flight
    const ageMs = this.#nowMs - node.mark.atMs
    const isMarked = node.position >= node.mark.position
    const isAfter = node.position >= flight.position
    const leaseMs = this.#options.bug === 'lease too old' ? 1e6 : LEASE_MS
    if (level === 'none') {
      if (!isAfter) return
      const limit = flight.maxStalenessMs
      const isStale = limit !== undefined && !(isMarked && ageMs <= limit)
      if (!isStale || this.#is('staleness ignored', 1)) {
        this.#answer(flight, 'none')
      } else {
        this.#end(flight)
        this.#recorder.failed(flight.call)
      }
    } else if (level === 'lease' && isAfter && isMarked && ageMs <= leaseMs) {
      this.#answer(flight, 'lease')
    } else if (!flight.hasAsked) {
      flight.hasAsked = true
      flight.position = Math.max(flight.position, this.#askLeader(level, node))
    } else if (isAfter) {
      this.#answer(flight, level === 'strong' ? 'strong' : 'weak')
    }
  }

  #askLeader(level: LogAnswer['level'], node: Node): number {
    if (level !== 'strong' && this.#is('weak without asking', 1)) return node.position
    // It takes itself for the leader for good.
    const isLeading = this.#oldLeader !== null && this.#is('strong reads of an old leader')
    if (level === 'strong' && isLeading) return node.position
    const old = level !== 'strong' && this.#random.chance(0.5) ? this.#liveOldLeader() : null
    return old ?? this.#entries.length
  }

  #answer(flight: Flight<Input>, level: LogAnswer['level']): void {
    const { node, input, leaderCommit } = flight
    const isFree = flight.position === 0 && flight.maxStalenessMs === undefined
    let position = node.position
    if (level === 'none' && isFree && this.#is('file goes back'))
      position = Math.max(0, position - 3)
    const state = this.#stateAt(node, position, level)
    const begun = this.#workload.begin?.(state, input) ?? input
    const answered = { input: begun, output: this.#workload.run(state, begun).output }
    const next = this.#entries[position]
    const isTooHigh = next !== undefined && this.#is('index too high', 0.5)
    flight.output = {
      index: isTooHigh ? next.index : this.#indexAt(position),
      isExact: true,
      level,
      answers: { [JSON.stringify(input)]: JSON.stringify(answered) },
      answeredMs: this.#nowMs,
      leaderCommit: level === 'weak' ? leaderCommit : undefined,
    }
  }

  /** What a read sees: the node's state, but for the ways in which it is not. */
  #stateAt(node: Node, position: number, level: LogAnswer['level']): State {
    const { run, tear, drawWrite } = this.#workload
    const state = this.#states[position] as State
    const next = this.#entries[position]
    if (this.#options.bug === 'stale cache') {
      if (node.cache === null || this.#random.chance(0.3)) node.cache = state
      return node.cache as State
    }
    if (this.#is('reads of another replica', 0.5)) {
      return this.#states[this.#random.pick(this.#nodes).position] as State
    }
    if (this.#is('read uncommitted')) {
      const pending = this.#flights.find((flight) => flight.level === null && !flight.position)
      if (pending !== undefined) return run.call(this.#workload, state, pending.input).state
    }
    if (next !== undefined && this.#is('torn batch', 0.5)) return tear?.(state, next.input) ?? state
    if (position > 1 && this.#is('swapped entries', 0.2)) {
      const last = this.#entries[position - 1] as Entry<Input>
      return run.call(this.#workload, this.#states[position - 2] as State, last.input).state
    }
    if (level === 'strong' && this.#is('value of nobody', 0.1)) {
      const nobody = drawWrite.call(this.#workload, this.#random, 1_000_003)
      const begun = this.#workload.begin?.(state, nobody) ?? nobody
      return run.call(this.#workload, state, begun).state
    }
    return state
  }

  /** A client loses patience: some of its writes are known to be nothing, others are not. */
  #giveUp(): void {
    const flight = this.#random.pick([...this.#flights, null])
    if (flight === null || flight.isAbandoned || flight.output !== null) return
    const isPending = flight.level === null && flight.position === 0
    if (!isPending || this.#random.chance(0.5)) {
      if (isPending) flight.isAbandoned = true
      else this.#end(flight)
    } else {
      this.#recorder.failed(flight.call)
      if (this.#options.bug === 'failed write applied') flight.isAbandoned = true
      else this.#end(flight)
    }
  }

  #restart(node: Node): void {
    for (const flight of this.#flights) if (flight.node === node) this.#end(flight)
    node.lives += 1
    node.position = Math.max(0, node.position - this.#random.below(4))
    node.mark = NO_MARK
    node.cache = null
  }

  #changeLeader(): void {
    const position = this.#entries.length
    this.#oldLeader = { position, untilMs: this.#nowMs + DEPOSED_MS }
    if (!this.#is('lost tail', 1) || position === 0) return
    this.#entries.pop()
    this.#states.pop()
    for (const node of this.#nodes) node.position = Math.min(node.position, position - 1)
  }

  #liveOldLeader(): number | null {
    const old = this.#oldLeader
    if (old === null || old.untilMs < this.#nowMs) return null
    return Math.min(old.position, this.#entries.length)
  }

  #end(flight: Flight<Input>): void {
    this.#flights = this.#flights.filter((other) => other !== flight)
  }

  #outcome(input: Input): string {
    return JSON.stringify(this.#workload.run(this.#states.at(-1) as State, input).output)
  }

  #indexAt(position: number): number {
    return this.#entries[position - 1]?.index ?? 0
  }

  #positionOf(index: number): number {
    return this.#entries.filter((entry) => entry.index <= index).length
  }

  #toOperation(operation: LogOperation<Input>): readonly Operation<Input, Output>[] {
    const { client, input, output, callMs, returnMs } = operation
    if (input.kind === 'write') {
      const outcome = (output as LogWritten | null)?.outcome
      const answer = outcome === undefined ? null : (JSON.parse(outcome) as Output)
      return [{ client, input: input.change, output: answer, callMs, returnMs }]
    }
    const answer = output as LogAnswer | null
    if (answer?.level !== 'strong') return []
    const [text] = Object.values(answer.answers) as [string]
    const answered = JSON.parse(text) as { readonly input: Input; readonly output: Output }
    return [{ client, ...answered, callMs, returnMs }]
  }
}

function writtenKeys(input: unknown): readonly string[] {
  const { steps } = input as { steps: readonly { readonly kind: string; readonly key: string }[] }
  return steps.filter(({ kind }) => kind === 'write').map(({ key }) => key)
}
