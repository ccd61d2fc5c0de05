/** Shapes of statements, each filled from one stream of random numbers. */
import type { InputArgs } from '../../src/index.ts'
import type { SeededRandom } from '../simulated/random.ts'

export interface Made {
  readonly sql: string
  readonly args?: InputArgs
}

/** Fills a shape. */
export type Shape = (pick: Pick) => string | Made

/** Draws what fills the shapes: of a kind that the tables below hold, so that much is found. */
export class Pick {
  readonly #random: SeededRandom

  constructor(random: SeededRandom) {
    this.#random = random
  }

  /** From `least` up to below `end`. */
  number(least: number, end: number): number {
    return least + (this.#random.u32() % (end - least))
  }

  of<T>(list: readonly T[]): T {
    return list[this.number(0, list.length)] as T
  }

  get id(): number {
    return this.number(1, 60)
  }

  get column(): string {
    return this.of(['id', 'a', 'b', 'c', 'd'])
  }

  get compare(): string {
    return this.of(['<', '<=', '=', '<>', '>', '>=', 'IS', 'IS NOT'])
  }

  /** As SQL writes it. */
  get literal(): string {
    return this.of([
      'NULL',
      String(this.number(-20, 60)),
      `${this.number(-9, 30)}.5`,
      `'${this.word}'`,
      `x'${this.number(16, 255).toString(16)}'`,
      '9223372036854775807',
      "'12'",
    ])
  }

  get word(): string {
    return this.of(['ant', 'Bee', 'cow', 'dog', 'EEL', 'fox', 'gnu', 'été', "it''s", ''])
  }

  get direction(): string {
    return this.of(['', ' ASC', ' DESC', ' DESC NULLS LAST', ' ASC NULLS LAST'])
  }

  get value(): null | number | bigint | string | Uint8Array {
    return this.of([
      null,
      this.number(-20, 60),
      this.number(0, 99) / 8,
      this.word,
      2n ** 53n + BigInt(this.number(0, 9)),
      new Uint8Array([this.number(0, 256)]),
    ])
  }
}

/** What all shapes run on. */
export const SCHEMA: readonly string[] = [
  `CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, c REAL, d,
     CHECK (a IS NULL OR a < 1000))`,
  `CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES t ON DELETE SET NULL,
     k TEXT NOT NULL UNIQUE, v NUMERIC DEFAULT 7)`,
  'CREATE TABLE keyed (x TEXT COLLATE NOCASE PRIMARY KEY, y INT) WITHOUT ROWID',
  'CREATE TABLE bare (p, q, r)',
  'CREATE TABLE strict (id INTEGER PRIMARY KEY AUTOINCREMENT, n INTEGER NOT NULL) STRICT',
  "CREATE TABLE made (n, twice AS (n * 2) STORED, shown AS (printf('%05d', n)))",
  'CREATE TABLE logged (what, n)',
  `CREATE TRIGGER told AFTER UPDATE OF y ON keyed WHEN new.y <> old.y BEGIN
     INSERT INTO logged VALUES (old.x, new.y - old.y); END`,
  'CREATE INDEX t_a ON t (a, b)',
  'CREATE INDEX t_lower ON t (lower(b)) WHERE b IS NOT NULL',
  'CREATE VIEW seen AS SELECT t.id, b, k, v FROM t JOIN child ON parent = t.id',
  'CREATE VIRTUAL TABLE words USING fts5 (title, body)',
  'CREATE TABLE docs (id INTEGER PRIMARY KEY, doc)',
]
