import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { setImmediate as turn } from 'node:timers/promises'
import { RemoteError } from '../processes/node-handle.ts'
import type { Executed, NodeCalls } from '../processes/protocol.ts'
import type { Seat } from './rig.ts'
import type { Query } from './workloads/workload.ts'

/** What a store may do wrong. */
export type Flaw =
  | 'none'
  /** Writes are acknowledged and not done. */
  | 'loses'
  /** Writes are done twice. */
  | 'doubles'
  /** Writes are refused, and done. */
  | 'does what it refuses'
  /** Reads, strong ones too, lack what was written last. */
  | 'is stale'
  /** Of a batch the first statement is done alone. */
  | 'halves'
  /** Says of every write that it changed a row. */
  | 'claims'
  /** Transactions see each other, and nothing of them is taken back. */
  | 'mixes'
  /** Everybody gets the lock, and no fence holds. */
  | 'locks nothing'
  /** Whoever asks for what is to be done once does it again. */
  | 'forgets'
  /** Fails with what no page promises. */
  | 'fails oddly'

type Args = readonly unknown[]
type Statement = readonly [sql: string, args: Args]

/** Each seventh operation of a kind that can go wrong does. */
export const WRONG_EVERY = 7
const BEHIND = 3
const TURNS_MAX = 40

/** A store in memory that answers as the nodes of a run do, one of whose ways is wrong. */
export class WrongStore {
  readonly seats: readonly Seat[]
  readonly #flaw: Flaw
  readonly #db = new DatabaseSync(':memory:')
  /** Has all writes but the last few. */
  readonly #old = new DatabaseSync(':memory:')
  readonly #late: Statement[] = []
  readonly #results = new Map<string, Readonly<Record<string, unknown>> | undefined>()
  /** The transaction that all else waits for. */
  #transaction = 0
  #lastTransaction = 0
  #holder = 0
  #lastToken = 0
  #index = 0
  #operations = 0

  constructor(schema: readonly string[], flaw: Flaw) {
    this.#flaw = flaw
    for (const sql of schema) {
      this.#db.exec(sql)
      this.#old.exec(sql)
    }
    const call = (method: keyof NodeCalls, ...args: Args): Promise<unknown> =>
      this.#call(method, args)
    const handle = { isRunning: true, call }
    this.seats = [{ at: 0, isOpen: true, handle } as never]
  }

  readonly query: Query = (sql) => {
    return this.#db
      .prepare(sql)
      .all()
      .map((row) => Object.values(row))
  }

  close(): void {
    this.#db.close()
    this.#old.close()
  }

  async #call(method: keyof NodeCalls, args: Args): Promise<unknown> {
    await turn()
    switch (method) {
      case 'execute':
        await this.#untilFree()
        return this.#execute(...(args as [string, Args?, { fence?: { token: number } }?]))
      case 'batch':
        await this.#untilFree()
        return this.#batch(args[0] as readonly Statement[])
      case 'begin':
        await this.#untilFree()
        return this.#begin()
      case 'executeIn':
        return this.#run(args[1] as string, args[2] as Args)
      case 'end':
        return this.#end(args[1] as 'commit' | 'rollback')
      case 'lock':
        return this.#lock()
      case 'release':
        return this.#release(args[0] as number)
      case 'once':
        await this.#untilFree()
        return [this.#once((args[0] as { key: string }).key)]
      case 'enqueue':
        await this.#untilFree()
        return this.#enqueue((args[1] as { n: number }).n)
      default:
        throw new Error(`this store does not know ${method}`)
    }
  }

  #execute(sql: string, args: Args = [], options: { fence?: { token: number } } = {}): Executed {
    const isRead = sql.startsWith('SELECT')
    const { fence } = options
    if (isRead && this.#flaw === 'is stale' && this.#isWrong()) {
      return this.#read(this.#old, sql, args)
    }
    if (isRead) return this.#read(this.#db, sql, args)
    if (fence !== undefined && fence.token !== this.#holder && this.#flaw !== 'locks nothing') {
      throw failure('ERR_FENCED', false)
    }
    if (this.#flaw === 'fails oddly' && this.#isWrong()) throw failure('ERR_HANDSHAKE', true)
    if (this.#flaw === 'loses' && this.#isWrong()) return this.#executed([], 1)
    const done = this.#run(sql, args)
    if (this.#flaw === 'doubles' && this.#isWrong()) this.#run(sql, args)
    if (this.#flaw === 'does what it refuses' && this.#isWrong()) {
      throw failure('ERR_NO_LEADER', true)
    }
    return this.#flaw === 'claims' ? { ...done, rowsAffected: 1 } : done
  }

  #batch(statements: readonly Statement[]): number {
    const isHalf = this.#flaw === 'halves' && this.#isWrong()
    const isLost = this.#flaw === 'loses' && this.#isWrong()
    const done = isLost ? [] : isHalf ? statements.slice(0, 1) : statements
    for (const [sql, args] of done) this.#run(sql, args)
    return statements.length
  }

  #begin(): number {
    this.#lastTransaction += 1
    if (this.#flaw === 'mixes') return this.#lastTransaction
    this.#transaction = this.#lastTransaction
    this.#db.exec('BEGIN')
    return this.#transaction
  }

  #end(how: 'commit' | 'rollback'): number {
    if (this.#transaction > 0) this.#db.exec(how)
    this.#transaction = 0
    return this.#next()
  }

  async #lock(): Promise<number> {
    for (let turns = 0; this.#holder > 0 && this.#flaw !== 'locks nothing'; turns += 1) {
      if (turns > TURNS_MAX) throw failure('ERR_BUSY', true)
      await turn()
    }
    this.#lastToken += 1
    this.#holder = this.#lastToken
    return this.#holder
  }

  #release(token: number): boolean {
    const isHeld = this.#holder === token
    if (isHeld) this.#holder = 0
    return isHeld
  }

  #once(key: string): unknown {
    if (this.#flaw === 'forgets' || !this.#results.has(key)) {
      const [run] = this.#run('INSERT INTO runs (node) VALUES (?) RETURNING id', ['node-1']).rows
      this.#results.set(key, run)
      if (this.#flaw === 'loses' && this.#isWrong()) this.#db.exec('DELETE FROM runs')
    }
    return this.#results.get(key)
  }

  /** What is made has succeeded at once. */
  #enqueue(n: number): { readonly id: string; readonly created: boolean } {
    const id = `job-${n}`
    const isLost = this.#flaw === 'loses' && this.#isWrong()
    this.#db.exec('CREATE TABLE IF NOT EXISTS colmena_jobs (id TEXT, state TEXT)')
    const state = isLost ? 'dead' : 'succeeded'
    this.#db.prepare('INSERT INTO colmena_jobs VALUES (?, ?)').run(id, state)
    const times = isLost ? 0 : this.#flaw === 'doubles' && this.#isWrong() ? 2 : 1
    for (let time = 0; time < times; time += 1) {
      this.#db.prepare('INSERT INTO successes VALUES (?, 1, ?)').run(id, n)
    }
    if (this.#flaw === 'does what it refuses' && this.#isWrong()) {
      throw failure('ERR_NO_LEADER', true)
    }
    return { id, created: true }
  }

  #read(db: DatabaseSync, sql: string, args: Args): Executed {
    return this.#executed(db.prepare(sql).all(...(args as SQLInputValue[])), 0)
  }

  #run(sql: string, args: Args): Executed {
    const rows = this.#db.prepare(sql).all(...(args as SQLInputValue[]))
    const [count] = this.#db.prepare('SELECT changes() AS n').all()
    if (!sql.startsWith('SELECT')) this.#late.push([sql, args])
    while (this.#late.length > BEHIND) {
      const [old, oldArgs] = this.#late.shift() as Statement
      this.#old.prepare(old).all(...(oldArgs as SQLInputValue[]))
    }
    return this.#executed(rows, Number(count?.['n']))
  }

  #executed(rows: readonly object[], rowsAffected: number): Executed {
    return {
      rows: rows as Executed['rows'],
      rowsAffected,
      index: this.#next(),
      consistency: 'strong',
    }
  }

  #next(): number {
    this.#index += 1
    return this.#index
  }

  #isWrong(): boolean {
    this.#operations += 1
    return this.#operations % WRONG_EVERY === 0
  }

  async #untilFree(): Promise<void> {
    while (this.#transaction > 0) await turn()
  }
}

function failure(code: string, retryable: boolean): RemoteError {
  const error = { name: 'ColmenaError', message: 'as told', code, retryable, sqliteCode: undefined }
  return new RemoteError('the store', { ...error, outcome: 'not-applied' })
}
