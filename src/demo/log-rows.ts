import type { LogRow, WriteRow } from './protocol.ts'

const ROWS_MAX = 300

type Draft<Row> = Row extends LogRow ? Omit<Row, 'key' | 'at'> : never

/** The rows of the log as the page has them, and which of them it has not seen yet. */
export class LogRows {
  #rows = new Map<number, LogRow>()
  #changed = new Map<number, LogRow>()
  #lastKey = 0

  /** Newest first. */
  get all(): readonly LogRow[] {
    return [...this.#rows.values()].reverse()
  }

  add(at: number, draft: Draft<LogRow>): number {
    this.#lastKey += 1
    const key = this.#lastKey
    this.#put({ ...draft, key, at } as LogRow)
    const [oldest] = this.#rows.keys()
    if (this.#rows.size > ROWS_MAX) this.#rows.delete(oldest as number)
    return key
  }

  write(key: number): WriteRow | null {
    const row = this.#rows.get(key)
    return row?.kind === 'write' ? row : null
  }

  /** A row that is gone already stays gone. */
  change(key: number, change: Partial<WriteRow>): void {
    const row = this.write(key)
    if (row !== null) this.#put({ ...row, ...change })
  }

  takeChanged(): readonly LogRow[] {
    const changed = [...this.#changed.values()]
    this.#changed.clear()
    return changed
  }

  /** Keys go on: a page that still shows old rows mixes nothing up. */
  clear(): void {
    this.#rows.clear()
    this.#changed.clear()
  }

  #put(row: LogRow): void {
    this.#rows.set(row.key, row)
    this.#changed.set(row.key, row)
    const [oldest] = this.#changed.keys()
    if (this.#changed.size > ROWS_MAX) this.#changed.delete(oldest as number)
  }
}
