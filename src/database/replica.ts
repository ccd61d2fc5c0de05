import { assert } from '../base/assert.ts'
import { syncDirectoryNow } from '../base/directory-sync.ts'
import type { MemberRecord } from '../command/command.ts'
import type { ConfState, Entry } from '../raft/types.ts'
import { ApplyingNote } from './applying-note.ts'
import type { DatabaseFile } from './database-file.ts'
import { Divergence } from './divergence.ts'
import { type DatabaseStatus, digestsAt, hashedDatabases, statusOf } from './file-status.ts'
import {
  databasePath,
  generationPath,
  makeDirectory,
  notePath,
  removeGenerations,
  requireGeneration,
  SYSTEM,
  syncWal,
} from './generation.ts'
import {
  closeFiles,
  type ExpectedSnapshot,
  forgetOrigins,
  lowestOf,
  type OpenWriter,
  openGeneration,
  openReceived,
  type WriterSource,
  writerOpener,
} from './generation-files.ts'
import { type GroupContext, runGroup } from './group.ts'
import type { HashSource } from './hash-thread.ts'
import {
  asHalted,
  type GroupOutcome,
  type Halted,
  OutcomeGatherer,
  type OwnOriginState,
  type OwnSequence,
} from './outcome.ts'
import { PinnedSnapshot } from './snapshot.ts'
import { type Genesis, type OriginRecord, SystemFile } from './system-file.ts'
import { answerStep, type TrialRequest, Trials } from './trials.ts'
import { type MachineTrouble, withDataDirErrors } from './trouble.ts'
import { WAL_BOUNDS, type WalBounds } from './wal-bounds.ts'

export interface ReplicaOptions extends WriterSource {
  /** The directory that holds the generations: `<dataDir>/db`. */
  readonly directory: string
  readonly generation: number
  /** The origin whose results are wanted: 32 hexadecimal digits; none by default. */
  readonly ownOrigin?: string | undefined
}

/**
 * The replicated state machine: all databases of one generation, driven by log entries. It has no
 * clock, thread or timer, and every method is synchronous but the copying of a pinned snapshot.
 */
export class Replica {
  readonly #options: ReplicaOptions
  readonly #open: OpenWriter
  #generation: number
  #path: string
  #system: SystemFile
  #files: Map<string, DatabaseFile>
  /** What killed this process, and what is void. */
  note: ApplyingNote
  #divergence: Divergence
  #applied: number
  #term: number
  #gatherer = new OutcomeGatherer()
  #mustSyncDirectory = true
  #hasInstalled = false
  #isClosed = false
  /** Transactions that are tried on the files of the present generation. */
  readonly trials: Trials = new Trials((database) => this.#files.get(database))

  private constructor(options: ReplicaOptions) {
    this.#options = options
    this.#open = writerOpener(options)
    this.#generation = options.generation
    this.#path = requireGeneration(options.directory, options.generation)
    const { system, files } = openGeneration(this.#path, this.#open)
    this.#system = system
    this.#files = files
    this.note = new ApplyingNote(notePath(this.#path), () => files.values())
    this.#divergence = new Divergence(this.#path)
    const lowest = lowestOf({ system, files })
    this.#applied = lowest.applied
    this.#term = lowest.term
  }

  /** Makes a generation as a cluster begins with it, in place of one that was never finished. */
  static create(options: ReplicaOptions, genesis: Genesis): Replica {
    const path = generationPath(options.directory, options.generation)
    makeDirectory(path)
    return withDataDirErrors(() => {
      const writer = writerOpener(options)(databasePath(path, SYSTEM), {})
      try {
        SystemFile.create(writer, genesis)
        syncWal(writer.walPath)
      } finally {
        writer.close()
      }
      syncDirectoryNow(path)
      syncDirectoryNow(options.directory)
      return new Replica(options)
    })
  }

  /** @throws ColmenaError ERR_DATA_DIR where there is no such generation. */
  static open(options: ReplicaOptions): Replica {
    return withDataDirErrors(() => new Replica(options))
  }

  get generation(): number {
    return this.#generation
  }

  /** Every entry up to here is applied in every database: what raft gets as its applied index. */
  get appliedIndex(): number {
    return this.#applied
  }

  get appliedTerm(): number {
    return this.#term
  }

  /** The highest applied index of any file; since applied implies committed, commit is as high. */
  get highestApplied(): number {
    return Math.max(this.#applied, ...this.#all().map((file) => file.applied))
  }

  get clusterId(): string {
    return this.#system.clusterId
  }

  get confState(): ConfState {
    return this.#system.confState
  }

  /** The index of the entry that made {@link confState} what it is. */
  get confIndex(): number {
    return this.#system.confIndex
  }

  get members(): readonly MemberRecord[] {
    return [...this.#system.members.values()].sort((a, b) => a.memberId - b.memberId)
  }

  get origins(): readonly OriginRecord[] {
    return [...this.#system.origins.values()]
  }

  /** The origin that a member's writes carry now, '' for none. */
  originOf(memberId: number): string {
    return this.#system.currentOrigin(memberId)?.origin ?? ''
  }

  /** What each member's current origin runs SQL with. */
  get fingerprints(): ReadonlyMap<number, string> {
    return this.#system.fingerprints
  }

  /** The newest format that commands in the log may have. */
  get format(): number {
    return this.#system.format
  }

  get ownOrigin(): OwnOriginState {
    const record = this.#system.origins.get(this.#options.ownOrigin ?? '')
    if (record === undefined) return 'unregistered'
    return record.retiredIndex === null ? 'registered' : 'retired'
  }

  /** Bytes of the largest WAL, as of now. */
  get walBytes(): number {
    return Math.max(...this.#all().map(({ wal }) => wal.sizeBytes))
  }

  databases(): readonly DatabaseStatus[] {
    return this.#all().map((file) => statusOf(file, this.#applied))
  }

  /** What the databases have applied of this node's own origin. */
  ownSequences(): readonly OwnSequence[] {
    const origin = this.#options.ownOrigin
    if (origin === undefined) return []
    const own = new Map(this.#system.savedSequencesOf(origin))
    for (const file of this.#all()) {
      const sequence = file.lastSequence(origin)
      if (sequence > 0) own.set(file.name, sequence)
    }
    return [...own].map(([database, sequence]) => ({ database, sequence }))
  }

  /**
   * Applies entries, which must follow the applied index without a gap. Either all of them are
   * applied, or `halted` says why not: then nothing moved, and the same entries (or more from the
   * same place) are to be given again. Parts that were committed before are not run twice.
   *
   * @throws anything that is a bug of ours; this replica must then be closed.
   */
  apply(entries: readonly Entry[]): GroupOutcome {
    assert(!this.#isClosed, 'a closed replica applies nothing')
    const last = entries.at(-1)
    if (last === undefined) return this.#outcome(null)
    assert(entries[0]?.index === this.#applied + 1, 'entries follow the applied index')
    assert(last.index === this.#applied + entries.length, 'entries have no gap')
    const trouble = this.#divergence.watch(this.#applied, () => {
      this.#divergence.refuse()
      this.note.refuseQuarantined()
      runGroup(this.#context(), entries)
    })
    if (trouble !== null) return this.#outcome(trouble)
    this.#applied = last.index
    this.#term = last.term
    return this.#outcome(null)
  }

  /** Whether the files of the present generation may differ: then they are applied to no more. */
  get divergence(): Divergence {
    return this.#divergence
  }

  /** A step of a transaction. @throws ColmenaError as of `answerStep`; MachineTrouble */
  tryStatements(request: TrialRequest): Uint8Array {
    this.#divergence.refuse()
    return answerStep(this.trials, request, this.#options.watch)
  }

  /** Between two groups: why the files may differ from the other members'; null if they do not. */
  findDivergence(): Halted | null {
    const trouble = this.#divergence.watch(this.#applied, () => {
      this.#divergence.refuse()
      for (const file of this.#all()) file.refuseForeignWrites()
    })
    return trouble?.isDivergent ? asHalted(trouble) : null
  }

  /** The time of the latest entry that was given one, as all nodes have it; 0 before. */
  get clockMs(): number {
    return Math.max(...this.#all().map(({ clockMs }) => clockMs))
  }

  /** What the databases' digests were at `index`; nothing while that is not applied. */
  digestsAt(index: number): ReadonlyMap<string, string> {
    return index > this.#applied ? new Map() : digestsAt(this.#files.values(), index)
  }

  /** All users' databases at the present index, for whoever reads them while nothing is applied. */
  hashSource(): HashSource {
    const databases = hashedDatabases(this.#files.values())
    return { index: this.#applied, generationDirectory: this.#path, databases }
  }

  /** Moves the applied index of idle databases up to this replica's, once that is at `index`. */
  bump(index: number): void {
    if (index > this.#applied) return
    for (const file of this.#all()) {
      if (file.applied < index) file.bump(this.#applied, this.#term)
    }
  }

  /**
   * Makes what is applied survive a power loss, and returns the applied index that does. Entries
   * up to it are not needed any more. Origins that retired below it are forgotten.
   *
   * @throws MachineTrouble where that is not possible now.
   */
  makeDurable(): number {
    this.bump(this.#applied)
    if (this.#mustSyncDirectory) syncDirectoryNow(this.#path)
    this.#mustSyncDirectory = false
    // Files may be ahead of it, but a database that can't be opened yet has no file to ask; those
    // on which transactions are tried may be behind.
    const behind = this.#all().filter(({ trial }) => trial !== null)
    const durable = Math.min(this.#applied, ...behind.map(({ applied }) => applied))
    for (const { wal } of this.#all()) wal.makeDurable()
    forgetOrigins({ system: this.#system, files: this.#files }, durable)
    this.#system.leases.forget(durable)
    return durable
  }

  /**
   * Between two groups: moves pages from large WALs to their files. Returns the bytes of the
   * largest WAL that can't start anew; out of bounds, some reader holds an old snapshot and must
   * be ended.
   */
  checkpoint(bounds: WalBounds = WAL_BOUNDS): number {
    return Math.max(...this.#all().map((file) => file.checkpointOver(bounds)))
  }

  /**
   * Holds every database at one index, so that they can be copied while entries go on applying.
   * Null while some file is ahead of the others, which replay ends. A trial that keeps a file
   * behind ends.
   */
  pinSnapshot(): PinnedSnapshot | null {
    // Nobody is to be given files that may be wrong.
    this.#divergence.refuse()
    if (this.highestApplied > this.#applied) return null
    for (const file of this.#all()) if (file.applied < this.#applied) file.endTrial()
    this.bump(this.#applied)
    return PinnedSnapshot.pin({
      index: this.#applied,
      term: this.#term,
      confState: this.confState,
      clockMs: this.clockMs,
      digests: this.digestsAt(this.#applied),
      generationDirectory: this.#path,
      settings: new Map(this.#all().map(({ name }) => [name, this.#system.settingsOf(name)])),
    })
  }

  /**
   * Switches to another generation, which must be complete and at one index. On failure this
   * replica stays as it is.
   *
   * @throws ColmenaError ERR_DATA_DIR if the generation is not what is expected.
   */
  installGeneration(generation: number, expected: ExpectedSnapshot): void {
    const path = requireGeneration(this.#options.directory, generation)
    const { system, files } = withDataDirErrors(() =>
      openReceived(path, this.#open, { ...expected, clusterId: this.clusterId }),
    )
    this.#closeFiles()
    this.#hasInstalled = true
    this.#generation = generation
    this.#path = path
    this.#system = system
    this.#files = files
    this.note = this.note.moveTo(notePath(path), () => files.values(), system.file.applied)
    this.#divergence = new Divergence(path)
    this.#applied = system.file.applied
    this.#term = system.file.term
    this.#gatherer = new OutcomeGatherer()
    this.#mustSyncDirectory = true
  }

  /**
   * Deletes the files of other generations, once the log names this one. A later one may be on its
   * way here, unless this process has only just opened its files.
   */
  deleteOtherGenerations(): readonly number[] {
    return removeGenerations(
      this.#options.directory,
      (other) => other === this.#generation || (this.#hasInstalled && other > this.#generation),
    )
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#closeFiles()
  }

  #all(): readonly DatabaseFile[] {
    return [this.#system.file, ...this.#files.values()]
  }

  #context(): GroupContext {
    return {
      path: this.#path,
      system: this.#system,
      files: this.#files,
      note: this.note,
      watch: this.#options.watch,
      ownOrigin: this.#options.ownOrigin ?? '',
      gatherer: this.#gatherer,
      hooks: this.#options.hooks,
      openWriter: this.#open,
      onFilesChanged: () => {
        this.#mustSyncDirectory = true
      },
    }
  }

  #outcome(halted: MachineTrouble | null): GroupOutcome {
    const gathered = halted === null ? this.#gatherer : new OutcomeGatherer()
    if (halted === null) this.#gatherer = new OutcomeGatherer()
    return {
      appliedIndex: this.#applied,
      appliedTerm: this.#term,
      halted: halted && asHalted(halted),
      results: gathered.results,
      ownSequences: gathered.ownSequences,
      drops: gathered.drops,
      endedLeases: gathered.endedLeases,
      confIndex: gathered.confIndex,
      ownOrigin: this.ownOrigin,
      originsChanged: gathered.originsChanged,
      databasesChanged: gathered.databasesChanged,
    }
  }

  #closeFiles(): void {
    closeFiles({ system: this.#system, files: this.#files })
    this.note.close()
  }
}
