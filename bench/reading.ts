/** The reads of a member: one row by its key, in every way there is. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { ColmenaNode, Consistency } from '../src/index.ts'
import { percentile } from './figures.ts'
import type { ReadPlan, ReadResult } from './protocol.ts'

const SCHEMA = 'CREATE TABLE pairs (key TEXT PRIMARY KEY, value TEXT)'
const INSERT = 'INSERT INTO pairs VALUES (?, ?)'
const GET = 'SELECT value FROM pairs WHERE key = ?'
const ROWS = 10_000
/** Coprime to the number of rows: every key in turn, none beside its neighbour. */
const STRIDE = 4_057
/** Reads between two looks at the clock, where looking costs as much as reading. */
const LAP = 100
const VALUE = 'a value of a hundred characters '.padEnd(100, '.')

export class Reading {
  readonly #node: ColmenaNode
  readonly #raw: ((key: string) => unknown) | null
  readonly #reader: (key: string) => unknown
  #at = 0

  /** `rawPath`: a file as {@link Reading.fill} leaves it; null where nothing is read from it. */
  constructor(node: ColmenaNode, rawPath: string | null) {
    this.#node = node
    const raw = rawPath && new DatabaseSync(rawPath, { readOnly: true }).prepare(GET)
    this.#raw = raw ? (key) => raw.get(key) : null
    const reader = node.database().reader.prepare(GET)
    this.#reader = (key) => reader.get([key])
  }

  /** The rows in the node's database and, the same, in a file of SQLite's own. */
  static async fill(node: ColmenaNode, folder: string): Promise<string> {
    const rows = Array.from({ length: ROWS }, (_, at) => [nameKey(at), VALUE] as const)
    const db = node.database()
    await db.batch([SCHEMA, ...rows.map((args) => ({ sql: INSERT, args: [...args] }))])
    const path = join(folder, 'raw-reads.db')
    using raw = new DatabaseSync(path)
    raw.exec(`PRAGMA journal_mode = WAL; ${SCHEMA}; BEGIN`)
    const insert = raw.prepare(INSERT)
    for (const [key, value] of rows) insert.run(key, value)
    raw.exec('COMMIT')
    return path
  }

  run({ how, durationMs }: ReadPlan): Promise<ReadResult> {
    if (how === 'raw' && this.#raw !== null) return this.#lap(this.#raw, durationMs)
    if (how === 'reader') return this.#lap(this.#reader, durationMs)
    if (how === 'raw') throw new Error('prepareReads first')
    return this.#await(how, durationMs)
  }

  async #lap(get: (key: string) => unknown, durationMs: number): Promise<ReadResult> {
    const startedMs = performance.now()
    let count = 0
    let elapsedMs = 0
    while (elapsedMs < durationMs) {
      for (let at = 0; at < LAP; at += 1) check(get(this.#nextKey()))
      count += LAP
      elapsedMs = performance.now() - startedMs
    }
    return { perSecond: (count * 1_000) / elapsedMs, p50Ms: elapsedMs / count }
  }

  async #await(consistency: Consistency, durationMs: number): Promise<ReadResult> {
    const db = this.#node.database('main', { consistency })
    const latenciesMs: number[] = []
    const startedMs = performance.now()
    let nowMs = startedMs
    while (nowMs - startedMs < durationMs) {
      const { rows } = await db.execute(GET, [this.#nextKey()])
      check(rows[0])
      const endedMs = performance.now()
      latenciesMs.push(endedMs - nowMs)
      nowMs = endedMs
    }
    const perSecond = (latenciesMs.length * 1_000) / (nowMs - startedMs)
    return { perSecond, p50Ms: percentile(latenciesMs, 50) }
  }

  #nextKey(): string {
    this.#at = (this.#at + STRIDE) % ROWS
    return KEYS[this.#at] as string
  }
}

const KEYS: readonly string[] = Array.from({ length: ROWS }, (_, at) => nameKey(at))

function nameKey(at: number): string {
  return `key-${String(at).padStart(6, '0')}`
}

function check(row: unknown): void {
  if (row === undefined) throw new Error('a read found nothing')
}
