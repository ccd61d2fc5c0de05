import { createHash } from 'node:crypto'
import {
  commandKind,
  decodeMemberRecords,
  decodeRegisterOrigin,
  decodeWrite,
  type MemberRecord,
} from '../../src/command/command.ts'
import type { ApplierHandlers, ReplicaState, SnapshotCopy } from '../../src/engine/ports.ts'
import type { StorageGenesis } from '../../src/engine/protocol.ts'
import { applyConfChangeToState, decodeConfChange } from '../../src/raft/raft.ts'
import type { ConfState, Entry } from '../../src/raft/types.ts'
import type { SeededRandom } from './random.ts'
import type {
  SimulatedStorage,
  SnapshotFiles,
  StorageMachine,
  StorageOptions,
  WrittenRow,
} from './storage.ts'

/** A database without SQL: the rows that commands wrote, in order. */
interface ModelFile {
  readonly created: number
  applied: number
  term: number
  readonly rows: { readonly index: number; readonly text: string }[]
  readonly sequences: Map<string, number>
}

interface ModelSystem {
  applied: number
  term: number
  confState: ConfState
  confIndex: number
  members: MemberRecord[]
  readonly origins: Map<string, ModelOrigin>
}

interface ModelOrigin {
  readonly member: number
  readonly registered: number
  retired: number | null
  readonly fingerprint: string
}

/** Everything of one generation. */
interface ModelState {
  readonly system: ModelSystem
  readonly files: Map<string, ModelFile>
}

/** Generations, and snapshots on their way out or in, by directory. */
class ModelSnapshots extends Map<string, ModelState> implements SnapshotFiles {
  receive(from: SnapshotFiles, directory: string, target: string): boolean {
    const state = from instanceof ModelSnapshots ? from.get(directory) : undefined
    if (state !== undefined) this.set(target, copyState(state))
    return state !== undefined
  }
}

/** What survives a process: the newest state, and older ones that a power loss may go back to. */
export class ModelMachine implements StorageMachine {
  readonly #random: SeededRandom
  readonly snapshots: ModelSnapshots = new ModelSnapshots()
  /** States since the last durable one, by generation; a crash picks one per file. */
  readonly #history = new Map<number, ModelState[]>()

  constructor(random: SeededRandom) {
    this.#random = random
  }

  open(
    options: StorageOptions,
    generation: number,
    genesis: StorageGenesis | null,
    handlers: ApplierHandlers,
  ): ModelStorage {
    const disk = { snapshots: this.snapshots, history: this.#history }
    return new ModelStorage({ ...options, ...disk }, generation, genesis, handlers)
  }

  crash(losesPower: boolean, losesAll: boolean): void {
    if (losesPower) losePower(this.snapshots, this.#history, this.#random, losesAll)
  }

  forget(): void {
    this.snapshots.clear()
    this.#history.clear()
  }

  dispose(): void {}
}

interface ModelOptions extends StorageOptions {
  readonly snapshots: ModelSnapshots
  readonly history: Map<number, ModelState[]>
}

/** The storage thread's model: same rules, no SQLite, delays and lost tails instead. */
class ModelStorage implements SimulatedStorage {
  readonly #options: ModelOptions
  readonly #handlers: ApplierHandlers
  #generation: number
  #state: ModelState
  readonly #queue: (() => void)[] = []
  #isBusy = false

  constructor(
    options: ModelOptions,
    generation: number,
    genesis: StorageGenesis | null,
    handlers: ApplierHandlers,
  ) {
    this.#options = options
    this.#handlers = handlers
    this.#generation = generation
    this.#state = genesis === null ? this.#load(generation) : makeGenesis(genesis)
    if (genesis !== null) this.#store(true)
    this.#publish()
    this.#enqueue(() => handlers.opened(this.#replicaState()))
  }

  rows(): readonly WrittenRow[] {
    return [...this.#state.files].flatMap(([database, { rows }]) =>
      rows.map(({ index, text }) => ({ database, text, whole: `${index}/${text}` })),
    )
  }

  apply(entries: readonly Entry[]): void {
    const copies = entries.map((entry) => ({ ...entry, data: entry.data.slice() }))
    this.#enqueue(() => this.#applyGroup(copies))
  }

  copySnapshot(
    directory: string,
    done: (error: Error | null, copy: SnapshotCopy | null) => void,
  ): void {
    this.#enqueue(() => {
      const state = copyState(this.#state)
      const index = this.#options.shared.applied()
      for (const file of [state.system, ...state.files.values()]) file.applied = index
      this.#options.snapshots.set(`/${directory}`, state)
      const { term, confState } = state.system
      this.#options.plan(20, () => done(null, { index, term, confState, files: [] }))
    })
  }

  removeSnapshot(directory: string): void {
    this.#options.snapshots.delete(`/${directory}`)
  }

  install(
    generation: number,
    index: number,
    done: (error: Error | null, state: ReplicaState | null) => void,
  ): void {
    this.#enqueue(() => {
      this.#generation = generation
      this.#state = this.#load(generation)
      this.#store(true)
      this.#publish()
      const state = this.#replicaState()
      const own = state.sequences.map(({ database, sequence }) => [database, sequence] as const)
      this.#options.installed(index, new Map(own))
      done(null, state)
    })
  }

  deleteOtherGenerations(): void {
    const kept = `/db/${this.#generation}`
    for (const path of this.#options.snapshots.keys()) {
      if (path.includes('/db/') && path !== kept) this.#options.snapshots.delete(path)
    }
  }

  makeDurable(index: number, done: (error: Error | null, durable: number) => void): void {
    this.#enqueue(() => {
      const applied = this.#options.shared.applied()
      for (const file of [this.#state.system, ...this.#state.files.values()]) {
        file.applied = Math.max(file.applied, Math.min(index, applied))
      }
      this.#options.plan(this.#options.random.below(30), () => {
        this.#store(true)
        done(null, applied)
      })
    })
  }

  /** There is no SQL here to be tried. */
  tryStatements(_: unknown, done: (error: Error | null, answer: null) => void): void {
    this.#enqueue(() => done(new Error('the model tries nothing'), null))
  }

  endTrial(): void {}

  /** Equal rows give equal digests, as those of statements do. */
  digests(index: number, done: (digests: ReadonlyMap<string, string>) => void): void {
    this.#enqueue(() => {
      const digests = new Map<string, string>()
      if (index > this.#options.shared.applied()) return done(digests)
      for (const [name, { created, rows }] of this.#state.files) {
        if (created > index) continue
        const hash = createHash('sha256')
        for (const row of rows) if (row.index <= index) hash.update(`${row.index} ${row.text};`)
        digests.set(`${name}@${created}`, hash.digest('hex'))
      }
      done(digests)
    })
  }

  /** Nothing ever differs here: whoever says so is wrong. */
  diverge(reason: string): void {
    throw new Error(`the databases are said to differ: ${reason}`)
  }

  /** There is no content here beyond the rows. */
  expectHash(): void {}

  close(done: (error: Error | null) => void): void {
    this.#enqueue(() => done(null))
  }

  /** One thing after the other, each after a little time. */
  #enqueue(work: () => void): void {
    this.#queue.push(work)
    if (!this.#isBusy) this.#next()
  }

  #next(): void {
    const work = this.#queue.shift()
    this.#isBusy = work !== undefined
    if (work === undefined) return
    this.#options.plan(this.#options.random.below(4), () => {
      work()
      this.#next()
    })
  }

  #applyGroup(entries: readonly Entry[]): void {
    const sequences = new Map<string, number>()
    const answers: (() => void)[] = []
    const { origin: before } = this.#replicaState()
    for (const entry of entries) {
      this.#options.saw(entry)
      this.#applySystem(entry)
    }
    for (const entry of entries) this.#applyWrite(entry, sequences, answers)
    const last = entries.at(-1)
    this.#store(false)
    this.#publish(last?.index)
    for (const answer of answers) answer()
    const { origin, fingerprints } = this.#replicaState()
    this.#handlers.applied({
      applied: this.#options.shared.applied(),
      sequences: [...sequences].map(([database, sequence]) => ({ database, sequence })),
      origin: origin === before ? null : origin,
      fingerprints,
      format: 1,
      confIndex: null,
      members: null,
    })
  }

  #applySystem(entry: Entry): void {
    const { system } = this.#state
    if (entry.index <= system.applied) return
    system.applied = entry.index
    system.term = entry.term
    if (entry.type !== 'normal') {
      const change = decodeConfChange(entry.data)
      if (change === null) return
      system.confState = applyConfChangeToState(system.confState, change)
      system.confIndex = entry.index
      putMembers(system, decodeMemberRecords(change.context))
    } else if (entry.data.length > 0 && commandKind(entry.data) === 'registerOrigin') {
      const { memberId, origin, previous, fingerprint } = decodeRegisterOrigin(entry.data)
      if (currentOrigin(system, memberId) !== previous || system.origins.has(origin)) return
      const old = system.origins.get(previous)
      if (old !== undefined) old.retired = entry.index
      const place = { registered: entry.index, retired: null }
      system.origins.set(origin, { member: memberId, ...place, fingerprint })
    }
  }

  #applyWrite(entry: Entry, sequences: Map<string, number>, answers: (() => void)[]): void {
    if (entry.type !== 'normal' || entry.data.length === 0) return
    if (commandKind(entry.data) !== 'write') return
    const { origin, database, sequence, units } = decodeWrite(entry.data)
    const file = this.#file(database, entry.index)
    if (entry.index <= file.applied) return
    file.applied = entry.index
    file.term = entry.term
    const record = this.#state.system.origins.get(origin)
    if (record === undefined || entry.index <= record.registered) return
    if (record.retired !== null && entry.index >= record.retired) return
    if (sequence !== (file.sequences.get(origin) ?? 0) + 1) return
    file.sequences.set(origin, sequence)
    for (const { statements } of units) {
      file.rows.push({ index: entry.index, text: statements[0]?.sql ?? '' })
    }
    if (origin !== this.#options.ownOrigin) return
    sequences.set(database, sequence)
    const answer = { database, sequence, index: entry.index, error: null }
    answers.push(() => this.#options.answered(answer))
  }

  #file(name: string, index: number): ModelFile {
    let file = this.#state.files.get(name)
    if (file === undefined) {
      file = { created: index, applied: index - 1, term: 0, rows: [], sequences: new Map() }
      this.#state.files.set(name, file)
    }
    return file
  }

  #publish(applied?: number): void {
    const { lowest } = extremes(this.#state)
    this.#options.shared.publishStorage({
      applied: applied ?? lowest,
      generation: this.#generation,
      databasesEpoch: this.#state.files.size,
      isDivergent: false,
      walBytes: 0,
    })
  }

  #replicaState(): ReplicaState {
    const { system } = this.#state
    const { lowest, highest } = extremes(this.#state)
    const sequences = [...this.#state.files].map(([database, file]) => ({
      database,
      sequence: file.sequences.get(this.#options.ownOrigin) ?? 0,
    }))
    return {
      sequences,
      applied: lowest,
      highestApplied: highest,
      confState: system.confState,
      confIndex: system.confIndex,
      members: system.members,
      origin: currentOrigin(system, this.#options.memberId),
      fingerprints: currentFingerprints(system),
      format: 1,
    }
  }

  #store(isDurable: boolean): void {
    const { snapshots, history: histories } = this.#options
    const copy = copyState(this.#state)
    snapshots.set(`/db/${this.#generation}`, copy)
    const history = histories.get(this.#generation) ?? []
    if (isDurable) history.length = 0
    // A power loss goes back at most so far: keep a bounded sample of what it may find.
    if (history.length < 40) history.push(copy)
    else history[1 + this.#options.random.below(39)] = copy
    histories.set(this.#generation, history)
  }

  #load(generation: number): ModelState {
    const found = this.#options.snapshots.get(`/db/${generation}`)
    if (found === undefined) throw new Error(`generation ${generation} is not there`)
    return copyState(found)
  }
}

/**
 * Power loss: each file is what it was at some moment since it was last made durable, or all are
 * what they were then.
 */
function losePower(
  snapshots: ModelSnapshots,
  histories: Map<number, ModelState[]>,
  random: SeededRandom,
  losesAll: boolean,
): void {
  for (const [generation, history] of histories) {
    if (losesAll) history.splice(1)
    if (!snapshots.has(`/db/${generation}`) || history.length === 0) continue
    const durable = history[0] as ModelState
    const system = copySystem(random.pick(history).system)
    const files = new Map<string, ModelFile>()
    for (const [name, newest] of (history.at(-1) as ModelState).files) {
      const { created } = newest
      const empty = { created, applied: created - 1, term: 0, rows: [], sequences: new Map() }
      const file = random.pick(history).files.get(name) ?? durable.files.get(name) ?? empty
      files.set(name, copyFile(file))
    }
    const state: ModelState = { system, files }
    snapshots.set(`/db/${generation}`, state)
    histories.set(generation, [copyState(state)])
  }
}

function makeGenesis(genesis: StorageGenesis): ModelState {
  return {
    system: {
      applied: genesis.index,
      term: genesis.term,
      confState: genesis.confState,
      confIndex: genesis.index,
      members: [...genesis.members],
      origins: new Map(),
    },
    files: new Map(),
  }
}

/** Rows never change once they are there, so copies share them: a copy is made for every group. */
function copyState({ system, files }: ModelState): ModelState {
  return {
    system: copySystem(system),
    files: new Map([...files].map(([name, file]) => [name, copyFile(file)])),
  }
}

function copySystem(system: ModelSystem): ModelSystem {
  const origins = [...system.origins].map(([origin, record]) => [origin, { ...record }] as const)
  return { ...system, members: [...system.members], origins: new Map(origins) }
}

function copyFile(file: ModelFile): ModelFile {
  return { ...file, rows: [...file.rows], sequences: new Map(file.sequences) }
}

function extremes(state: ModelState): { lowest: number; highest: number } {
  const applied = [state.system, ...state.files.values()].map((file) => file.applied)
  return { lowest: Math.min(...applied), highest: Math.max(...applied) }
}

function currentOrigin(system: ModelSystem, memberId: number): string {
  for (const [origin, record] of system.origins) {
    if (record.member === memberId && record.retired === null) return origin
  }
  return ''
}

function currentFingerprints(system: ModelSystem): ReadonlyMap<number, string> {
  const current = [...system.origins.values()].filter(({ retired }) => retired === null)
  return new Map(current.map(({ member, fingerprint }) => [member, fingerprint]))
}

function putMembers(system: ModelSystem, records: readonly MemberRecord[]): void {
  const { voters, learners, votersOutgoing, learnersNext } = system.confState
  const ids = new Set([...voters, ...learners, ...votersOutgoing, ...learnersNext])
  const kept = system.members.filter(
    ({ memberId }) => ids.has(memberId) && !records.some((one) => one.memberId === memberId),
  )
  system.members = [...kept, ...records]
}
