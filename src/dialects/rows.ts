import type { ResultSet, Value } from '../index.ts'

/** A value as SQLite's drivers for these tools give it: bytes are a `Buffer`. */
export type PlainValue = Exclude<Value, ArrayBuffer> | Buffer

export type PlainRow = Record<string, PlainValue>

/**
 * Rows with their columns and nothing else: a column may have any name, `length` too, and of two
 * with one name the last counts, as in the drivers that these tools were made for.
 */
export function plainRows({ columns, rows }: ResultSet): PlainRow[] {
  return rows.map((row) => {
    const plain: PlainRow = {}
    for (const [at, column] of columns.entries()) {
      const value = row[at] as Value
      const held = value instanceof ArrayBuffer ? Buffer.from(value) : value
      if (column !== '__proto__') plain[column] = held
      else {
        const whole = { enumerable: true, configurable: true, writable: true }
        Object.defineProperty(plain, column, { value: held, ...whole })
      }
    }
    return plain
  })
}
