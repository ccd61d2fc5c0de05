import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Environment, SqlValue } from '../command/command.ts'
import { StatementFailure } from './failure.ts'
import { StatementRandomness } from './randomness.ts'
import { DATABASE_LIMITS, DATABASE_OPTIONS, requireSqlite } from './runtime.ts'

/** Always non-deterministic, whatever their arguments. */
export const ALWAYS_FROZEN: ReadonlySet<string> = new Set([
  'random',
  'randomblob',
  'current_date',
  'current_time',
  'current_timestamp',
])

/** Non-deterministic where an argument names the present, or where they have none. */
export const TIME_FUNCTIONS: ReadonlySet<string> = new Set([
  'date',
  'time',
  'datetime',
  'julianday',
  'unixepoch',
  'strftime',
  'timediff',
])

/** Arguments whose meaning depends on when or where they are asked. */
const TIME_WORDS: ReadonlySet<string> = new Set(['now', 'subsec', 'subsecond', 'localtime', 'utc'])

/** Where a function's time value stands; timediff has two of them. */
const TIME_AT: Readonly<Record<string, readonly number[]>> = { strftime: [1], timediff: [0, 1] }

const SQLITE_TOOBIG = 18
const BLOB_BYTES_MAX = DATABASE_LIMITS.length

/**
 * Answers `random()`, `randomblob()`, CURRENT_DATE/TIME/TIMESTAMP and the date functions on one
 * connection from the command's environment. An override can't be removed, so they are installed
 * once. Dates are computed by SQLite itself, on a second connection, with the present replaced by
 * the frozen time; `localtime` and `utc` mean UTC on every node, whatever its TZ says.
 */
export class FrozenFunctions {
  readonly #clock: DatabaseSync
  readonly #randomness = new StatementRandomness()
  readonly #statements = new Map<string, StatementSync>()
  #environment: Environment = { wallMs: 0, seedHigh: 0, seedLow: 0 }
  #unitOrdinal = 0
  #now = ''
  #isSeeded = false
  #statementOrdinal = 0
  #isStrict = false
  #rejects = false

  constructor(db: DatabaseSync) {
    this.#clock = new (requireSqlite().DatabaseSync)(':memory:', DATABASE_OPTIONS)
    this.#install(db)
  }

  close(): void {
    this.#clock.close()
  }

  /** Freezes time and seed for the statements of one unit. */
  startUnit(environment: Environment, unitOrdinal: number): void {
    if (environment.wallMs !== this.#environment.wallMs) this.#now = ''
    this.#environment = environment
    this.#unitOrdinal = unitOrdinal
  }

  /**
   * Begins a statement's own stream of random numbers. In a strict one, which builds an index, the
   * present is refused even where an override could answer: an index must not depend on it. One
   * that `rejects` fails with ERR_NON_DETERMINISTIC_SQL instead of being answered.
   */
  startStatement(statementOrdinal: number, isStrict: boolean, rejects: boolean): void {
    this.#statementOrdinal = statementOrdinal
    this.#isSeeded = false
    this.#isStrict = isStrict
    this.#rejects = rejects
  }

  #install(db: DatabaseSync): void {
    // Without `deterministic`, so that SQLite itself refuses them in indexes and generated columns.
    db.function('random', () => this.#random('random').i64())
    db.function('randomblob', { useBigIntArguments: true }, (size: SqlValue) =>
      this.#random('randomblob').bytes(blobSize(size)),
    )
    db.function('current_date', () => this.#present('current_date', 'date'))
    db.function('current_time', () => this.#present('current_time', 'time'))
    db.function('current_timestamp', () => this.#present('current_timestamp', 'datetime'))
    for (const name of TIME_FUNCTIONS) this.#installTime(db, name)
  }

  /** With arguments they must count as deterministic, or files with `date(a)` in an index fail. */
  #installTime(db: DatabaseSync, name: string): void {
    const options = { deterministic: true, varargs: true, useBigIntArguments: true }
    db.function(name, options, (...args: SqlValue[]) => this.#time(name, args))
    if (name !== 'strftime' && name !== 'timediff') {
      db.function(name, () => this.#present(name, name))
    }
  }

  #random(name: string): StatementRandomness {
    this.#check(name)
    if (!this.#isSeeded) {
      const { seedHigh, seedLow } = this.#environment
      this.#randomness.seed(seedHigh, seedLow, this.#unitOrdinal, this.#statementOrdinal)
      this.#isSeeded = true
    }
    return this.#randomness
  }

  #present(name: string, computedBy: string): SqlValue {
    this.#check(name)
    return this.#compute(computedBy, [this.#frozenNow()])
  }

  #time(name: string, args: readonly SqlValue[]): SqlValue {
    const timeAt = TIME_AT[name] ?? [0]
    const values = args.map((value, at) => this.#timeArgument(name, value, timeAt.includes(at)))
    // strftime(format) alone means the present.
    if (name === 'strftime' && args.length === 1) {
      this.#checkPresent(name)
      values.push(this.#frozenNow())
    }
    return this.#compute(name, values.flat())
  }

  #timeArgument(name: string, value: SqlValue, isTime: boolean): SqlValue | SqlValue[] {
    const word = wordOf(value)
    if (isTime && word === 'now') {
      this.#checkPresent(name)
      return this.#frozenNow()
    }
    // The time itself may be left out before this one modifier: the present is meant.
    if (isTime && (word === 'subsec' || word === 'subsecond')) {
      this.#checkPresent(name)
      return name === 'timediff' ? this.#frozenNow() : [this.#frozenNow(), word]
    }
    if (!isTime && (word === 'localtime' || word === 'utc')) {
      this.#checkZone(name, word)
      // Keeps the place of a modifier: what may follow depends on it.
      return '+0 days'
    }
    return value
  }

  #checkPresent(name: string): void {
    this.#check(`${name}('now')`)
    if (this.#isStrict) throw dependsOnPresent(`${name}()`)
  }

  #checkZone(name: string, modifier: string): void {
    this.#check(`${name}(…, '${modifier}')`)
    if (this.#isStrict) throw dependsOnPresent(`${name}()`)
  }

  #check(call: string): void {
    if (this.#rejects) throw nonDeterministic(call.includes('(') ? call : callText(call))
  }

  /** The frozen time as SQLite prints and reads it, to the millisecond. */
  #frozenNow(): string {
    if (this.#now === '') {
      const iso = new Date(this.#environment.wallMs).toISOString()
      this.#now = iso.replace('T', ' ').replace('Z', '')
    }
    return this.#now
  }

  #compute(name: string, args: readonly SqlValue[]): SqlValue {
    const key = `${name}/${args.length}`
    let statement = this.#statements.get(key)
    if (statement === undefined) {
      statement = this.#clock.prepare(`SELECT ${name}(${args.map(() => '?').join(',')})`)
      this.#statements.set(key, statement)
    }
    const [value] = statement.get(...args) as unknown as [SqlValue]
    return value
  }
}

/** How a call of a function that is always non-deterministic is written. */
export function callText(name: string): string {
  return name.startsWith('current_') ? name.toUpperCase() : `${name}()`
}

export function nonDeterministic(call: string): StatementFailure {
  return new StatementFailure(
    'ERR_NON_DETERMINISTIC_SQL',
    `${call} would give each node another value, and this database rejects such calls: ` +
      'compute the value first and pass it as an argument',
  )
}

export function dependsOnPresent(name: string): StatementFailure {
  return new StatementFailure(
    'ERR_NON_DETERMINISTIC_SQL',
    `an index or generated column can't use ${name} with 'now', 'localtime' or 'utc': ` +
      'its value would change after it was stored',
  )
}

/** The present or a time zone, in whatever text or blob a date function would take for it. */
export function timeWordOf(value: SqlValue): string | undefined {
  const word = wordOf(value)
  return word !== undefined && TIME_WORDS.has(word) ? word : undefined
}

function wordOf(value: SqlValue): string | undefined {
  if (typeof value === 'string') return value.length <= 9 ? value.toLowerCase() : undefined
  if (value instanceof Uint8Array && value.length <= 9) {
    return Buffer.from(value).toString('utf8').toLowerCase()
  }
  return undefined
}

/** As SQLite converts a value to an integer; less than one byte is one byte. */
function blobSize(value: SqlValue): number {
  const size = integerOf(value)
  if (size > BLOB_BYTES_MAX) {
    throw new StatementFailure('ERR_SQL', 'string or blob too big', { sqliteCode: SQLITE_TOOBIG })
  }
  return Math.max(1, size)
}

function integerOf(value: SqlValue): number {
  if (value === null) return 0
  if (typeof value === 'bigint' || typeof value === 'number') return Math.trunc(Number(value))
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
  return Number(/^\s*[+-]?\d+/.exec(text)?.[0] ?? 0)
}
