import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Environment, UnitResult } from '../command/command.ts'
import { compact, type Reader, type Writer } from '../sqlite/sqlite.ts'
import { Digest } from './digest.ts'
import { DigestHistory } from './digest-history.ts'
import { CREATE_CHANGES, Feed } from './feed.ts'
import { fileSizeBytes } from './generation.ts'
import { CREATE_MIGRATIONS } from './migrations.ts'
import { guardOwn, MachineTrouble } from './trouble.ts'
import { Wal } from './wal.ts'
import type { WalBounds } from './wal-bounds.ts'

const CREATE = [
  `CREATE TABLE _colmena_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), created INTEGER NOT NULL, applied INTEGER NOT NULL,
    term INTEGER NOT NULL, clock_ms INTEGER NOT NULL, last_write INTEGER NOT NULL,
    digest INTEGER NOT NULL, part_index INTEGER NOT NULL, part_units INTEGER NOT NULL,
    changes_since INTEGER, changes_bytes INTEGER NOT NULL) STRICT`,
  `CREATE TABLE _colmena_sequences (
    origin TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
  CREATE_MIGRATIONS,
  CREATE_CHANGES,
]
const INSERT_STATE = 'INSERT INTO _colmena_state VALUES (1, ?, ?, ?, 0, 0, 0, 0, 0, NULL, 0)'
const SELECT_STATE =
  'SELECT created, applied, term, clock_ms, last_write, digest, part_index, part_units, ' +
  'changes_since, changes_bytes FROM _colmena_state'
const UPDATE_STATE =
  'UPDATE _colmena_state SET applied = ?, term = ?, clock_ms = ?, last_write = ?, digest = ?, ' +
  'part_index = ?, part_units = ?, changes_since = ?, changes_bytes = ?'
const SELECT_SEQUENCES = 'SELECT origin, last FROM _colmena_sequences'
const PUT_SEQUENCE = 'REPLACE INTO _colmena_sequences VALUES (?, ?)'
const DELETE_SEQUENCE = 'DELETE FROM _colmena_sequences WHERE origin = ?'
export const SELECT_APPLIED = 'SELECT applied FROM _colmena_state'
const SELECT_LAST_WRITE = 'SELECT last_write FROM _colmena_state'
const HAS_STATE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_colmena_state'"
// With this, the size of the WAL file is what is in use of it: it shrinks when it starts anew.
const LIMIT_WAL = 'PRAGMA journal_size_limit = 0'

/** The index of the last write in a file, on a connection of a reader. */
export function readLastWrite(reader: Pick<Reader, 'internal' | 'own'>): number {
  const row = reader.internal(() => reader.own(SELECT_LAST_WRITE).get())
  return Number((row as unknown as [bigint])[0])
}

/** A command of which some units are committed and the others not yet. */
export interface Part {
  readonly index: number
  readonly unitsDone: number
  /** The answers to the units done, or null where they died with an earlier process. */
  readonly results: readonly UnitResult[] | null
}

/** The transaction that is tried on a file, and what it runs with. */
export interface OpenTrial {
  readonly key: string
  readonly environment: Environment
}
type StateNumbers = [bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint]

interface State {
  applied: number
  term: number
  clockMs: number
  lastWrite: number
  digest: bigint
  part: Part | null
  changesSince: number | null
  changesBytes: number
}

/** What a new file begins with. */
export interface FileBirth {
  readonly created: number
  readonly applied: number
  readonly term: number
  readonly sequences: ReadonlyMap<string, number>
}

/**
 * One database file, its writer and the bookkeeping inside it. Everything that the file says of
 * itself is written in the transaction of the work it speaks of, so that no crash can part them.
 */
export class DatabaseFile {
  readonly name: string
  readonly writer: Writer
  readonly wal: Wal
  readonly created: number
  /** The frozen clock, the digest and so on, as the open transaction would leave them. */
  readonly digest: Digest
  readonly feed: Feed
  readonly digests: DigestHistory
  clockMs: number
  lastWrite: number
  #state: State
  readonly #sequences: Map<string, number>
  readonly #changed = new Map<string, number>()
  #dataVersion: number
  /** Whether nobody else had written to the file when the open transaction took its lock. */
  #wasUntouched = false
  /** Whether engines differ at the command that runs. */
  #isMixed = false
  /** The transaction that is tried here: open on the writer, and to be rolled back. */
  #trial: OpenTrial | null = null

  private constructor(name: string, writer: Writer, wal: Wal) {
    this.name = name
    this.writer = writer
    this.wal = wal
    const [row, sequences] = this.#own(() => {
      writer.own(LIMIT_WAL).get()
      return [writer.own(SELECT_STATE).get(), writer.own(SELECT_SEQUENCES).all()] as const
    })
    const [created, applied, term, clockMs, lastWrite, digest, partIndex, partUnits, since, kept] =
      row as unknown as [...StateNumbers, bigint | null, bigint]
    const part: Part | null =
      partIndex === 0n
        ? null
        : { index: Number(partIndex), unitsDone: Number(partUnits), results: null }
    this.created = Number(created)
    this.#state = {
      applied: Number(applied),
      term: Number(term),
      clockMs: Number(clockMs),
      lastWrite: Number(lastWrite),
      digest,
      part,
      changesSince: since === null ? null : Number(since),
      changesBytes: Number(kept),
    }
    this.#sequences = new Map(
      (sequences as unknown as [string, bigint][]).map(([origin, last]) => [origin, Number(last)]),
    )
    this.digest = new Digest(digest)
    this.feed = new Feed(writer)
    this.#resetFeed()
    // What is done of a command counts in the digest already, but belongs to no index yet.
    this.digests = new DigestHistory(part?.index ?? Number(lastWrite), digest)
    this.clockMs = this.#state.clockMs
    this.lastWrite = this.#state.lastWrite
    this.#dataVersion = writer.dataVersion()
  }

  /** Opens the writer's file, which `birth` makes first if there is nothing in it. */
  static open(name: string, writer: Writer, birth: FileBirth | null): DatabaseFile {
    const wal = new Wal(writer)
    if (!DatabaseFile.#hasState(writer)) {
      if (birth === null) {
        throw new ColmenaError('ERR_DATA_DIR', `${writer.path} is no database of Colmena's`)
      }
      DatabaseFile.#create(writer, birth)
    }
    return new DatabaseFile(name, writer, wal)
  }

  static #hasState(writer: Writer): boolean {
    return guardOwn(writer, writer.path, () => writer.own(HAS_STATE).get() !== undefined)
  }

  static #create(writer: Writer, birth: FileBirth): void {
    guardOwn(writer, writer.path, () => {
      writer.begin()
      for (const sql of CREATE) writer.own(sql).run()
      writer.own(INSERT_STATE).run(birth.created, birth.applied, birth.term)
      for (const [origin, last] of birth.sequences) writer.own(PUT_SEQUENCE).run(origin, last)
      writer.commit()
    })
  }

  /** Every entry up to here that concerns this database is in the file. */
  get applied(): number {
    return this.#state.applied
  }

  get term(): number {
    return this.#state.term
  }

  get part(): Part | null {
    return this.#state.part
  }

  /** The origin's last sequence, as the open transaction would leave it; 0 for none. */
  lastSequence(origin: string): number {
    return this.#changed.get(origin) ?? this.#sequences.get(origin) ?? 0
  }

  setSequence(origin: string, last: number): void {
    this.#changed.set(origin, last)
  }

  /** The committed sequences. */
  get sequences(): ReadonlyMap<string, number> {
    return this.#sequences
  }

  /** @throws MachineTrouble if someone else wrote to the file since our last look. */
  refuseForeignWrites(): void {
    if (this.#own(() => this.writer.dataVersion()) === this.#dataVersion) return
    throw new MachineTrouble(
      `${this.writer.path} was written to by another program, so it may differ from the other ` +
        'members’ copies. Open it with `sqlite3 -readonly` only; restore this node from its peers',
      { divergent: true },
    )
  }

  /** Begins what stays: a transaction that is only tried makes room for it. */
  begin(foreignKeysOff = false): void {
    this.endTrial()
    this.#own(() => this.writer.begin(foreignKeysOff))
    this.#wasUntouched = this.#own(() => this.writer.dataVersion()) === this.#dataVersion
  }

  /**
   * Commits with the applied index at `applied`. A constraint that fails only now (a deferred
   * foreign key) is thrown as SQLite's error, with the transaction still open.
   */
  commit(applied: number, term: number, part: Part | null = null): void {
    assert(applied >= this.#state.applied, 'the applied index of a file never goes back')
    const { writer } = this
    this.#own(() => {
      writer
        .own(UPDATE_STATE)
        .run(
          applied,
          term,
          this.clockMs,
          this.lastWrite,
          this.digest.value,
          part?.index ?? 0,
          part?.unitsDone ?? 0,
          this.feed.since,
          this.feed.sizeBytes,
        )
      for (const [origin, last] of this.#changed) writer.own(PUT_SEQUENCE).run(origin, last)
      writer.commit()
    })
    for (const [origin, last] of this.#changed) this.#sequences.set(origin, last)
    this.#changed.clear()
    const { clockMs, lastWrite, feed } = this
    const changes = { changesSince: feed.since, changesBytes: feed.sizeBytes }
    this.#state = { applied, term, clockMs, lastWrite, digest: this.digest.value, part, ...changes }
  }

  /** Back to what was committed last, in the file and here. */
  rollback(): void {
    this.#own(() => this.writer.rollback())
    this.#changed.clear()
    this.clockMs = this.#state.clockMs
    this.lastWrite = this.#state.lastWrite
    this.digest.reset(this.#state.digest)
    this.#resetFeed()
    if (!this.#wasUntouched) return
    // A full disk or a failed write that hits the page cache makes SQLite drop it, and move the
    // version as if somebody else had written.
    this.#wasUntouched = false
    this.#dataVersion = this.#own(() => this.writer.dataVersion())
  }

  /**
   * A command, or a unit of one, is about to run: the rows that it changes join the feed where one
   * is kept, and the digest where engines differ.
   */
  startCommand(isMixed: boolean): void {
    const complete = this.part?.index ?? Math.max(this.lastWrite, this.created - 1)
    this.#own(() => this.feed.begin(complete))
    this.#isMixed = isMixed
    this.writer.recordChanges(isMixed || this.feed.since !== null)
  }

  /** A unit succeeded: what it did to rows, if that is recorded. */
  keepChanges(index: number, ordinal: number): void {
    this.#own(() => {
      const recorded = this.writer.recorded()
      if (recorded === null) return
      if (this.#isMixed) this.digest.mixBigint(recorded.hash)
      if (this.feed.since !== null) this.feed.append(index, ordinal, recorded.changes)
    })
  }

  /**
   * Begins a transaction that is tried and never stays, under a key of its caller's. Its time is
   * the one that apply will have where no other write comes first.
   */
  beginTrial(key: string, environment: Environment, rejects = false): Environment {
    this.begin()
    const wallMs = Math.max(this.clockMs, environment.wallMs)
    const effective = { ...environment, wallMs }
    this.#trial = { key, environment: effective }
    // Nobody hears of it: what comes to apply arranges anew who is told of what it writes.
    this.writer.onTouched = null
    this.#own(() => this.writer.resetUnit(effective, 0, rejects))
    return effective
  }

  get trial(): OpenTrial | null {
    return this.#trial
  }

  endTrial(): void {
    if (this.#trial === null) return
    this.#trial = null
    this.rollback()
  }

  /** The applied index is no part of it: one that was not followed by that is done again. */
  compact(): void {
    this.endTrial()
    this.#wasUntouched = this.#own(() => this.writer.dataVersion()) === this.#dataVersion
    compact(this.writer)
  }

  /** Moves the applied index of a file that has nothing to apply below `index`. */
  bump(index: number, term: number): void {
    // One that is being tried on moves once that has ended.
    if (this.#state.applied >= index || this.#trial !== null) return
    const { part } = this.#state
    assert(part === null || part.index > index, 'a half-applied command is not behind us')
    this.#transaction(() => this.commit(index, term, part))
  }

  /** Forgets origins of which no entry can come any more. */
  forgetSequences(origins: readonly string[]): void {
    const known = origins.filter((origin) => this.#sequences.has(origin))
    if (known.length === 0) return
    this.#transaction(() => {
      for (const origin of known) this.#own(() => this.writer.own(DELETE_SEQUENCE).run(origin))
      this.commit(this.applied, this.term, this.part)
    })
    for (const origin of known) this.#sequences.delete(origin)
  }

  get sizeBytes(): number {
    return fileSizeBytes(this.writer.path) + this.wal.sizeBytes
  }

  /** As of `Wal`; while a transaction is tried, nothing moves. */
  checkpointOver(bounds: WalBounds): number {
    return this.#trial === null ? this.wal.checkpointOver(bounds) : this.wal.sizeBytes
  }

  close(): void {
    this.writer.close()
  }

  #resetFeed(): void {
    this.feed.since = this.#state.changesSince
    this.feed.sizeBytes = this.#state.changesBytes
  }

  #transaction(work: () => void): void {
    try {
      this.begin()
      work()
    } catch (error) {
      this.rollback()
      throw error
    }
  }

  #own<T>(work: () => T): T {
    return guardOwn(this.writer, this.writer.path, work)
  }
}
