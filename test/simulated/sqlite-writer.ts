import { type ConnectionSettings, Writer } from '../../src/sqlite/sqlite.ts'
import type { SeededRandom } from './random.ts'

export interface TroubleOptions {
  readonly random: SeededRandom
  readonly isTormented: () => boolean
  /** Keeps what the files are right now, before anything is tidied up. */
  readonly keepAside: () => void
  /** SQLite syncs a WAL before it moves its pages. */
  readonly saved: (walPath: string) => void
}

/** The process is killed, right here: nothing that follows in its code happens. */
export class Killed extends Error {
  override readonly name: string = 'Killed'
}

/** What may happen at the places where a file changes; how often is drawn for each process. */
export class WriterTrouble {
  readonly #options: TroubleOptions
  readonly #killChance: number
  readonly #errorChance: number
  /** Whatever the code made of it. */
  isDead = false
  /** The machine failed, once at least. */
  hasFailed = false

  constructor(options: TroubleOptions) {
    this.#options = options
    this.#killChance = options.random.pick([0, 0.001, 0.01])
    this.#errorChance = options.random.pick([0, 0, 0.01])
  }

  mayKill(): void {
    const { random, isTormented, keepAside } = this.#options
    if (this.isDead || !random.chance(this.#killChance) || !isTormented()) return
    keepAside()
    this.isDead = true
    throw new Killed('killed')
  }

  saved(walPath: string): void {
    this.#options.saved(walPath)
  }

  mayFail(): void {
    const { random, isTormented } = this.#options
    if (!random.chance(this.#errorChance) || !isTormented()) return
    this.hasFailed = true
    const [message, errcode] = random.pick([
      ['database or disk is full', 13],
      ['disk I/O error', 10],
      ['database is locked', 5],
    ] as const)
    throw Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode, errstr: message })
  }
}

/** A writer of which the process may die, or the machine fail, wherever its file changes. */
export class FaultyWriter extends Writer {
  readonly #trouble: WriterTrouble

  constructor(path: string, settings: ConnectionSettings, trouble: WriterTrouble) {
    super(path, settings)
    this.#trouble = trouble
  }

  override begin(...args: Parameters<Writer['begin']>): void {
    this.#trouble.mayKill()
    this.#trouble.mayFail()
    super.begin(...args)
  }

  override run(...args: Parameters<Writer['run']>): ReturnType<Writer['run']> {
    const result = super.run(...args)
    this.#trouble.mayKill()
    return result
  }

  override commit(): void {
    this.#trouble.mayKill()
    this.#trouble.mayFail()
    super.commit()
    this.#trouble.mayKill()
  }

  override checkpoint(...args: Parameters<Writer['checkpoint']>): ReturnType<Writer['checkpoint']> {
    this.#trouble.mayKill()
    const result = super.checkpoint(...args)
    this.#trouble.saved(this.walPath)
    this.#trouble.mayKill()
    return result
  }
}
