import type { StatementSync } from 'node:sqlite'
import type { OwnStatements } from './connection.ts'
import type { RowidRule } from './rowid.ts'

/** What the counters need to know of a statement. */
export interface CountedStatement {
  readonly rowidRule: RowidRule
  /** Calls `last_insert_rowid()` or `changes()`. */
  readonly readsCounters: boolean
}

/** No row of a user will have it: SQLite gives out negative rowids only where asked for them. */
const PLANTED_ROWID = -0x6c6f_6c6d_656e_6101n

/**
 * `last_insert_rowid()` and `changes()` of a writer's connection, which must say nothing of what it
 * did before the unit that runs.
 */
export class Counters {
  readonly #setRowid: StatementSync
  readonly #clearChanges: StatementSync
  readonly #read: StatementSync
  /** What `last_insert_rowid()` must be, while a planted value stands in its place. */
  #hiddenRowid: bigint | undefined

  /** The connection has a TEMP table `_colmena_rowid` for it. */
  constructor(own: OwnStatements) {
    this.#setRowid = own.get('REPLACE INTO temp._colmena_rowid VALUES (?)')
    this.#clearChanges = own.get('DELETE FROM temp._colmena_rowid WHERE 0')
    this.#read = own.get('SELECT changes(), last_insert_rowid()')
  }

  /** Both are 0 from here on. */
  reset(): void {
    this.#setRowid.run(0n)
    this.#clearChanges.run()
    this.#hiddenRowid = undefined
  }

  read(): [changes: bigint, rowid: bigint] {
    return this.#read.get() as unknown as [bigint, bigint]
  }

  /**
   * Puts a value in the place of `last_insert_rowid()` that shows whether the statement moves it,
   * or takes such a value away for a statement that reads it. Needed only past a unit's first.
   */
  arrange({ rowidRule: rule, readsCounters }: CountedStatement, ordinal: number): void {
    if (readsCounters) {
      if (this.#hiddenRowid === undefined) return
      const [changes] = this.read()
      this.#setRowid.run(this.#hiddenRowid)
      if (changes === 0n) this.#clearChanges.run()
      this.#hiddenRowid = undefined
    } else if (rule === 'probe' && ordinal > 0) {
      this.#hiddenRowid ??= this.read()[1]
      this.#setRowid.run(PLANTED_ROWID)
    }
  }

  /** The rowid of the last row that the statement itself inserted, null where it inserted none. */
  insertedRowid({ rowidRule }: CountedStatement, changes: bigint, rowid: bigint): bigint | null {
    if (rowidRule === 'none' || changes === 0n) return null
    if (rowidRule === 'probe') {
      const isUntouched = rowid === PLANTED_ROWID || (this.#hiddenRowid === undefined && !rowid)
      if (isUntouched) return null
    }
    this.#hiddenRowid = undefined
    return rowid
  }
}
