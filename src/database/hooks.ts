import { encodeCommandResult, type UnitResult, WriteEncoder } from '../command/command.ts'
import { CHANGES_BYTES_MAX } from './feed.ts'
import type { PlacedCommand } from './unit.ts'

/** What a node's listeners want to be told of, all of it each time. */
export interface AskedHooks {
  /** Databases of which a write is told, with the tables that it wrote to. */
  readonly watched: readonly string[]
  /** Databases that keep their changed rows on this node while somebody listens. */
  readonly kept: readonly string[]
}

/** A database that was written to since it was told last. */
export interface TouchedDatabase {
  readonly database: string
  /** In lower case. */
  readonly tables: readonly string[]
  /** Whether its schema changed, so that any table may be another one. */
  readonly isSchemaChanged: boolean
}

/** A write as it was applied: a command, and what it answered; see `command/`. */
export interface AppliedWrite {
  readonly command: Uint8Array<ArrayBuffer>
  readonly result: Uint8Array<ArrayBuffer>
}

/** What happened since listeners were told last. */
export interface HookNews {
  readonly touched: readonly TouchedDatabase[]
  readonly writes: readonly AppliedWrite[]
  /** Of the last write that was left out, as listeners were too slow; null for none. */
  readonly untoldIndex: number | null
}

interface Touched {
  readonly tables: Set<string>
  isSchemaChanged: boolean
}

/** What waits for slow listeners at most; writes beyond it are left out, and that is told. */
const WRITES_BYTES_MAX = 16 * 1024 * 1024

export interface ApplyHooksOptions {
  /** What each database keeps of its changed rows. */
  readonly changesBytesMax?: number | undefined
  readonly writesBytesMax?: number | undefined
  /** Whether every write is told with what it did; asked at each. */
  readonly tellsWrites?: (() => boolean) | undefined
}

/**
 * Gathers what listeners want to know while entries are applied, which never waits for them: one
 * message is on its way at a time, and what comes meanwhile is merged, within a bound.
 */
export class ApplyHooks {
  readonly changesBytesMax: number
  readonly #writesBytesMax: number
  readonly #tellsWrites: () => boolean
  #watched: ReadonlySet<string> = new Set()
  #kept: ReadonlySet<string> = new Set()
  #isOnItsWay = false
  #touched = new Map<string, Touched>()
  #writes: AppliedWrite[] = []
  #writesBytes = 0
  #untoldIndex: number | null = null

  constructor(options: ApplyHooksOptions = {}) {
    this.changesBytesMax = options.changesBytesMax ?? CHANGES_BYTES_MAX
    this.#writesBytesMax = options.writesBytesMax ?? WRITES_BYTES_MAX
    this.#tellsWrites = options.tellsWrites ?? (() => false)
  }

  ask({ watched, kept }: AskedHooks): void {
    this.#watched = new Set(watched)
    this.#kept = new Set(kept)
    for (const database of this.#touched.keys()) {
      if (!this.#watched.has(database)) this.#touched.delete(database)
    }
  }

  isWatched(database: string): boolean {
    return this.#watched.has(database)
  }

  isKept(database: string): boolean {
    return this.#kept.has(database)
  }

  touched(database: string, tables: Iterable<string>, isSchemaChanged: boolean): void {
    const known = this.#touched.get(database) ?? { tables: new Set(), isSchemaChanged: false }
    this.#touched.set(database, known)
    for (const table of tables) known.tables.add(table)
    known.isSchemaChanged ||= isSchemaChanged
  }

  /** A database was dropped. */
  dropped(database: string): void {
    if (this.#watched.has(database)) this.touched(database, [], true)
  }

  /** Files were replaced: whoever watches any is to look again. */
  touchedAll(): void {
    for (const database of this.#watched) this.touched(database, [], true)
  }

  /** A command was applied and committed; `units` null where what it answered is not known. */
  applied({ index, term, command }: PlacedCommand, units: readonly UnitResult[] | null): void {
    if (units === null || command.units.length === 0 || !this.#tellsWrites()) return
    if (this.#writesBytes > this.#writesBytesMax) {
      this.#untoldIndex = index
      return
    }
    const { database, sequence } = command
    const encoder = new WriteEncoder()
    for (const unit of command.units) encoder.add(unit)
    const answer = { database, sequence, isTried: false, index, term, units }
    const write = { command: encoder.finish(command), result: encodeCommandResult(answer) }
    this.#writes.push(write)
    this.#writesBytes += write.command.length + write.result.length
  }

  /** What is to be told now, null for nothing; {@link taken} must follow before the next. */
  take(): HookNews | null {
    if (!this.#tellsWrites()) this.#forgetWrites()
    const isNothing = this.#touched.size === 0 && this.#writes.length === 0
    if (this.#isOnItsWay || (isNothing && this.#untoldIndex === null)) return null
    this.#isOnItsWay = true
    const touched = [...this.#touched].map(([database, { tables, isSchemaChanged }]) => ({
      database,
      tables: [...tables],
      isSchemaChanged,
    }))
    const news = { touched, writes: this.#writes, untoldIndex: this.#untoldIndex }
    this.#touched = new Map()
    this.#forgetWrites()
    return news
  }

  /** Listeners have what was told. */
  taken(): void {
    this.#isOnItsWay = false
  }

  #forgetWrites(): void {
    this.#writes = []
    this.#writesBytes = 0
    this.#untoldIndex = null
  }
}
