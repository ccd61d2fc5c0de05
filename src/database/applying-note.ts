import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { type Hold, noteHeld, noteVoided, readHeld, readVoided } from './generation.ts'
import { MachineTrouble, type Quarantine } from './trouble.ts'

/** The group that a process died in, and how often in a row. */
export interface NotedDeath {
  /** First index of the group, 0 for none. */
  readonly first: number
  readonly last: number
  readonly deaths: number
}

/** A database, as far as a note knows it. */
export interface NotedFile {
  /** The index that it was made at: no other one's. */
  readonly created: number
  readonly applied: number
  /** The command of which some units are committed, and how many. */
  readonly part?: { readonly index: number; readonly unitsDone: number } | null | undefined
}

const FIELDS = 6
const QUARANTINE_DEATHS = 2

/**
 * A few bytes beside the databases that say which entries are being applied: a statement that
 * kills the process would otherwise kill it at every start. After one death the suspects run one
 * by one, so that the second names the entry. The bytes must outlive this process but no power
 * loss, so they are written without a sync, in a few microseconds.
 */
export class ApplyingNote {
  readonly #file: number
  readonly #fields = new Float64Array(FIELDS)
  #died: NotedDeath
  readonly #directory: string
  readonly #voided: Set<number>
  readonly #files: () => Iterable<NotedFile>
  #held: Hold | null

  /**
   * Counts a death for the group that was being applied when the last process ended, unless its
   * database, one of `files`, has applied it: what ended that process came after.
   */
  constructor(path: string, files: () => Iterable<NotedFile>) {
    this.#file = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
    fs.readSync(this.#file, this.#bytes(), 0, FIELDS * 8, 0)
    const [first = 0, last = 0, diedFirst = 0, diedLast = 0, deaths = 0, created] = this.#fields
    const applied = [...files()].find((file) => file.created === created)?.applied ?? 0
    if (first === 0) this.#died = { first: diedFirst, last: diedLast, deaths }
    else if (last <= applied) this.#died = { first: 0, last: 0, deaths: 0 }
    else this.#died = { first, last, deaths: first === diedFirst ? deaths + 1 : 1 }
    this.#directory = dirname(path)
    this.#voided = new Set(readVoided(this.#directory))
    this.#held = readHeld(this.#directory)
    this.#files = files
    this.#write(0, 0)
    // Whether the entry may be void is decided by that this node does not try it: a loss of power
    // must not bring it to.
    if (this.#died.deaths >= QUARANTINE_DEATHS) fs.fsyncSync(this.#file)
  }

  /**
   * The note beside files that take the place of these, and have what goes up to `applied`. What
   * this node has said of entries behind that it stands by: a leader may count on it.
   */
  moveTo(path: string, files: () => Iterable<NotedFile>, applied: number): ApplyingNote {
    const moved = new ApplyingNote(path, files)
    for (const index of this.#voided) if (index > applied) moved.void(index)
    if (this.#held !== null && this.#held.index > applied) moved.#putHeld(this.#held)
    if (this.#died.first <= applied) return moved
    moved.#died = this.#died
    moved.#write(0, 0)
    fs.fsyncSync(moved.#file)
    return moved
  }

  get died(): NotedDeath {
    return this.#died
  }

  /** Whether the entry's command fails here as on all members, without a try. */
  isVoid(index: number): boolean {
    return this.#voided.has(index)
  }

  /** The last entry that is void, 0 for none. */
  get lastVoid(): number {
    return Math.max(0, ...this.#voided)
  }

  /** The cluster has agreed on it: durable before it returns. */
  void(index: number): void {
    if (this.#voided.has(index)) return
    noteVoided(this.#directory, [...this.#voided, index])
    this.#voided.add(index)
    if (this.#held?.index === index) this.#putHeld(null)
  }

  /** From here on the entry, which this node could not apply yet, waits for what is decided. */
  hold(hold: Hold): void {
    const held = this.#held
    if (held === null && this.quarantine?.index === hold.index) return
    const isOlder =
      held !== null &&
      (hold.term < held.term || (hold.term === held.term && hold.round < held.round))
    if (!isOlder) this.#putHeld(hold)
  }

  /** Nothing came of it; whoever asked since then has another word to give. */
  release({ term, round }: Hold): void {
    if (this.#held?.term === term && this.#held.round === round) this.#putHeld(null)
  }

  #putHeld(hold: Hold | null): void {
    noteHeld(this.#directory, hold)
    this.#held = hold
  }

  /** Whether the entry was among those that ran when a process died. */
  isSuspect(index: number): boolean {
    const { first, last } = this.#died
    return index >= first && index <= last
  }

  /** The entry that is not tried any more, null if there is none. */
  get quarantine(): Quarantine | null {
    const { first, deaths } = this.#died
    const index = this.#held?.index ?? (deaths < QUARANTINE_DEATHS ? 0 : first)
    if (index === 0 || this.#voided.has(index)) return null
    const begun = [...this.#files()].find(({ part }) => part?.index === index)
    return { index, unitsDone: begun?.part?.unitsDone ?? 0, hold: this.#held }
  }

  /** Why that entry is not tried, null if there is none. */
  get trouble(): MachineTrouble | null {
    const { quarantine } = this
    if (quarantine === null) return null
    const { index } = quarantine
    const why =
      this.#held === null
        ? `this node's process died twice while it applied entry ${index}, so it does not try ` +
          'again. Where that is so on all members, the entry can be skipped'
        : `this node could not apply entry ${index}, was asked to skip it, and waits for what ` +
          'comes of that. If nothing does, ask again'
    return new MachineTrouble(`${why}: colmena skip ${index}`, { quarantine })
  }

  /** @throws MachineTrouble if an entry killed the process twice: it is not tried a third time. */
  refuseQuarantined(): void {
    const { trouble } = this
    if (trouble !== null) throw trouble
  }

  begin({ created }: NotedFile, first: number, last: number): void {
    this.#write(first, last, created)
  }

  end(): void {
    this.#write(0, 0)
  }

  close(): void {
    fs.closeSync(this.#file)
  }

  #bytes(): Uint8Array {
    return new Uint8Array(this.#fields.buffer)
  }

  #write(first: number, last: number, created = 0): void {
    const { first: diedFirst, last: diedLast, deaths } = this.#died
    this.#fields.set([first, last, diedFirst, diedLast, deaths, created])
    fs.writeSync(this.#file, this.#bytes(), 0, FIELDS * 8, 0)
  }
}
