/**
 * The few numbers that all three threads of a node see without a message. Three regions, each with
 * one writing thread and a sequence lock: a reader never sees half of an update, and what was
 * published before a message was sent is seen by whoever received it.
 */

/** What the engine thread publishes. */
export interface EngineView {
  /** True from the moment this node leads to the moment it does not. */
  readonly isLeader: boolean
  readonly term: number
  /** The leader's member id, 0 for none. */
  readonly leader: number
  readonly commit: number
  /** Whether an entry of the leader's own term is committed: before it, commit may lag. */
  readonly ownTermCommitted: boolean
  /** Clock milliseconds of the engine's last turn: an old stamp means a dead or stuck engine. */
  readonly stampMs: number
  /** How far apply is behind commit, in milliseconds. */
  readonly applyLagMs: number
  readonly isClosed: boolean
  /** Bumped when the leader, the term or the role changes. */
  readonly epoch: number
  /** Clock milliseconds until which nobody else can lead, 0 where somebody may. */
  readonly leadsUntilMs: number
  /** The same in milliseconds since 1970: that clock goes on while a machine sleeps. */
  readonly leadsUntilWallMs: number
}

/** What a leader's own reads go by. */
export type LeadershipView = Pick<
  EngineView,
  | 'isLeader'
  | 'commit'
  | 'ownTermCommitted'
  | 'stampMs'
  | 'isClosed'
  | 'leadsUntilMs'
  | 'leadsUntilWallMs'
>

/** What the storage thread publishes. */
export interface StorageView {
  readonly applied: number
  /** The directory generation that readers must have open. */
  readonly generation: number
  /** Bumped when a database is made or dropped. */
  readonly databasesEpoch: number
  /** Whether its files may differ from the other members': then nothing is read from them. */
  readonly isDivergent: boolean
  /** Of the largest WAL that can't start anew. */
  readonly walBytes: number
}

/** Which statement of which entry, or of which step of a transaction that is tried. */
export interface RunningStatement {
  /** The entry's; 0 for a transaction's, or for none. */
  readonly index: number
  /** Of an entry from 0 on; of a transaction the number of the step, 0 for none. */
  readonly unit: number
  /** From 0 on, as it is in its unit, or in its step. */
  readonly statement: number
}

/**
 * One moment on this node's own clocks, and an index that holds every write that was acknowledged
 * anywhere before that moment. It can't become false, only old.
 */
export interface FreshMark {
  readonly index: number
  /** Clock milliseconds, never later than the moment was. */
  readonly atMs: number
  /** The same moment in milliseconds since 1970: that clock goes on while a machine sleeps. */
  readonly wallMs: number
}

const ENGINE_FIELDS = 11
const STORAGE_FIELDS = 5
const ENGINE_AT = 1
const STORAGE_AT = ENGINE_AT + ENGINE_FIELDS + 1
const WAIT_AT = STORAGE_AT + STORAGE_FIELDS
const COMMITS_AT = WAIT_AT + 1
const MARKS_AT = COMMITS_AT + 2
const MARK_FIELDS = 3
const RUNNING_AT = MARKS_AT + 2 * MARK_FIELDS
const TELLS_WRITES_AT = RUNNING_AT + 3
const LENGTH = TELLS_WRITES_AT + 1
const NO_WAIT = 2n ** 62n

export class SharedState {
  readonly buffer: SharedArrayBuffer
  readonly #cells: BigInt64Array

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(LENGTH * 8)
    this.#cells = new BigInt64Array(this.buffer)
    if (buffer === undefined) Atomics.store(this.#cells, WAIT_AT, NO_WAIT)
  }

  /** As it began, for threads that begin anew; while none runs. */
  reset(): void {
    this.#cells.fill(0n)
    Atomics.store(this.#cells, WAIT_AT, NO_WAIT)
  }

  /** For the engine thread alone. */
  publishEngine(view: EngineView): void {
    this.#publish(ENGINE_AT - 1, [
      view.isLeader ? 1 : 0,
      view.term,
      view.leader,
      view.commit,
      view.ownTermCommitted ? 1 : 0,
      Math.floor(view.stampMs),
      Math.floor(view.applyLagMs),
      view.isClosed ? 1 : 0,
      view.epoch,
      Math.floor(view.leadsUntilMs),
      Math.floor(view.leadsUntilWallMs),
    ])
  }

  /** For the storage thread alone. */
  publishStorage(view: StorageView): void {
    this.#publish(STORAGE_AT - 1, [
      view.applied,
      view.generation,
      view.databasesEpoch,
      view.isDivergent ? 1 : 0,
      view.walBytes,
    ])
  }

  /** Once no engine is left. */
  publishEngineClosed(): void {
    this.publishEngine({ ...this.readEngine(), isLeader: false, leader: 0, isClosed: true })
  }

  readEngine(): EngineView {
    const values = this.#read(ENGINE_AT - 1, ENGINE_FIELDS)
    const at = (field: number): number => values[field] as number
    return {
      isLeader: at(0) === 1,
      term: at(1),
      leader: at(2),
      commit: at(3),
      ownTermCommitted: at(4) === 1,
      stampMs: at(5),
      applyLagMs: at(6),
      isClosed: at(7) === 1,
      epoch: at(8),
      leadsUntilMs: at(9),
      leadsUntilWallMs: at(10),
    }
  }

  /** A part of {@link readEngine}, for every read on a leader: half of it costs half as much. */
  readLeadership(): LeadershipView {
    const cells = this.#cells
    for (;;) {
      const before = Atomics.load(cells, ENGINE_AT - 1)
      const view = {
        isLeader: Atomics.load(cells, ENGINE_AT) === 1n,
        commit: Number(Atomics.load(cells, ENGINE_AT + 3)),
        ownTermCommitted: Atomics.load(cells, ENGINE_AT + 4) === 1n,
        stampMs: Number(Atomics.load(cells, ENGINE_AT + 5)),
        isClosed: Atomics.load(cells, ENGINE_AT + 7) === 1n,
        leadsUntilMs: Number(Atomics.load(cells, ENGINE_AT + 9)),
        leadsUntilWallMs: Number(Atomics.load(cells, ENGINE_AT + 10)),
      }
      if (before % 2n === 0n && Atomics.load(cells, ENGINE_AT - 1) === before) return view
    }
  }

  readStorage(): StorageView {
    const [applied, generation, databasesEpoch, divergent, walBytes] = this.#read(
      STORAGE_AT - 1,
      STORAGE_FIELDS,
    ) as [number, number, number, number, number]
    return { applied, generation, databasesEpoch, isDivergent: divergent === 1, walBytes }
  }

  /** The applied index alone, without the lock: one cell is never torn. */
  applied(): number {
    return Number(Atomics.load(this.#cells, STORAGE_AT))
  }

  /** The generation alone. */
  generation(): number {
    return Number(Atomics.load(this.#cells, STORAGE_AT + 1))
  }

  /** The count of databases made and dropped alone. */
  databasesEpoch(): number {
    return Number(Atomics.load(this.#cells, STORAGE_AT + 2))
  }

  /** Whether the files may differ from the other members', alone. */
  isDivergent(): boolean {
    return Atomics.load(this.#cells, STORAGE_AT + 3) === 1n
  }

  /** For the storage thread alone: while `commit` runs, {@link commits} is odd. */
  whileCommitting<T>(commit: () => T): T {
    Atomics.add(this.#cells, COMMITS_AT, 1n)
    try {
      return commit()
    } finally {
      Atomics.add(this.#cells, COMMITS_AT, 1n)
    }
  }

  /** Even, and the same as before: no database has changed in between. */
  commits(): number {
    return Number(Atomics.load(this.#cells, COMMITS_AT))
  }

  /** For the storage thread alone: it begins to run a statement. */
  setRunning({ index, unit, statement }: RunningStatement): void {
    Atomics.store(this.#cells, RUNNING_AT, BigInt(index))
    Atomics.store(this.#cells, RUNNING_AT + 1, BigInt(unit))
    Atomics.store(this.#cells, RUNNING_AT + 2, BigInt(statement))
  }

  /** The statement that runs, or ran last. No lock: what matters has stood there for seconds. */
  running(): RunningStatement {
    const [index, unit, statement] = [0, 1, 2].map((cell) =>
      Number(Atomics.load(this.#cells, RUNNING_AT + cell)),
    ) as [number, number, number]
    return { index, unit, statement }
  }

  /** For the engine thread alone: what is applied, and what will be next. */
  publishMarks(first: FreshMark | undefined, second: FreshMark | undefined): void {
    const values = [first, second].flatMap((mark) => {
      // Cells start at 0: the index is one higher, so that 0 is none.
      return mark === undefined ? [0, 0, 0] : [mark.index + 1, mark.atMs, mark.wallMs]
    })
    this.#publish(MARKS_AT - 1, values)
  }

  /** The latest mark whose index is no higher than `index`; null if there is none. */
  markWithin(index: number): FreshMark | null {
    const cells = this.#cells
    for (;;) {
      const before = Atomics.load(cells, MARKS_AT - 1)
      const mark = this.#markWithin(MARKS_AT + MARK_FIELDS, index)
      const latest = mark ?? this.#markWithin(MARKS_AT, index)
      if (before % 2n === 0n && Atomics.load(cells, MARKS_AT - 1) === before) return latest
    }
  }

  #markWithin(at: number, index: number): FreshMark | null {
    const cells = this.#cells
    const marked = Number(Atomics.load(cells, at)) - 1
    if (marked < 0 || marked > index) return null
    const atMs = Number(Atomics.load(cells, at + 1))
    return { index: marked, atMs, wallMs: Number(Atomics.load(cells, at + 2)) }
  }

  /** Asks the storage thread to send a message once `index` is applied; null asks for none. */
  setWaitedIndex(index: number | null): void {
    Atomics.store(this.#cells, WAIT_AT, index === null ? NO_WAIT : BigInt(index))
  }

  /** What the user thread waits for; the storage thread looks here after it published. */
  waitedIndex(): number {
    return Number(Atomics.load(this.#cells, WAIT_AT))
  }

  /** For the user thread alone: whether it wants to be told of every write. */
  setTellsWrites(tellsWrites: boolean): void {
    Atomics.store(this.#cells, TELLS_WRITES_AT, tellsWrites ? 1n : 0n)
  }

  /** Here and not in a message: a write that is made after this was set could overtake that. */
  tellsWrites(): boolean {
    return Atomics.load(this.#cells, TELLS_WRITES_AT) === 1n
  }

  #publish(lockAt: number, values: readonly number[]): void {
    const cells = this.#cells
    Atomics.add(cells, lockAt, 1n)
    for (let i = 0; i < values.length; i += 1) {
      Atomics.store(cells, lockAt + 1 + i, BigInt(values[i] as number))
    }
    Atomics.add(cells, lockAt, 1n)
  }

  #read(lockAt: number, count: number): number[] {
    const cells = this.#cells
    for (;;) {
      const before = Atomics.load(cells, lockAt)
      const values: number[] = []
      for (let i = 0; i < count; i += 1) values.push(Number(Atomics.load(cells, lockAt + 1 + i)))
      if (before % 2n === 0n && Atomics.load(cells, lockAt) === before) return values
    }
  }
}
