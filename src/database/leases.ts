import { DecodeError } from '../base/bytes.ts'
import {
  type LeaseAnswer,
  type LeaseRequest,
  leaseRequest,
  leaseResult,
  type UnitResult,
  type WriteCommand,
} from '../command/command.ts'
import type { DatabaseFile } from './database-file.ts'
import { guardOwn } from './trouble.ts'

export const CREATE_LEASES: readonly string[] = [
  // A token is given once in the life of a cluster.
  `CREATE TABLE IF NOT EXISTS _colmena_leases (
    token INTEGER PRIMARY KEY AUTOINCREMENT, purpose TEXT NOT NULL, key TEXT NOT NULL,
    origin TEXT NOT NULL, began_index INTEGER NOT NULL, ends_ms INTEGER NOT NULL,
    ended_index INTEGER) STRICT`,
  `CREATE UNIQUE INDEX IF NOT EXISTS _colmena_live_leases ON _colmena_leases (purpose, key)
    WHERE ended_index IS NULL`,
  `CREATE INDEX IF NOT EXISTS _colmena_ending_leases ON _colmena_leases (ends_ms)
    WHERE ended_index IS NULL`,
  `CREATE TABLE IF NOT EXISTS _colmena_kept_results (
    key TEXT PRIMARY KEY, is_failure INTEGER NOT NULL, result BLOB NOT NULL,
    ends_ms INTEGER NOT NULL) STRICT`,
  `CREATE INDEX IF NOT EXISTS _colmena_ending_results ON _colmena_kept_results (ends_ms)`,
]
const SELECT_LIVE =
  'SELECT leases.ends_ms, members.node_id FROM _colmena_leases AS leases ' +
  'LEFT JOIN _colmena_origins AS origins USING (origin) ' +
  'LEFT JOIN _colmena_members AS members USING (member_id) ' +
  'WHERE purpose = ? AND key = ? AND ended_index IS NULL'
const SELECT_KEPT = 'SELECT is_failure, result FROM _colmena_kept_results WHERE key = ?'
const INSERT =
  'INSERT INTO _colmena_leases (purpose, key, origin, began_index, ends_ms) ' +
  'VALUES (?, ?, ?, ?, ?) RETURNING token'
const RENEW =
  'UPDATE _colmena_leases SET ends_ms = ? WHERE token = ? AND ended_index IS NULL RETURNING token'
const END =
  'UPDATE _colmena_leases SET ended_index = ? WHERE token = ? AND ended_index IS NULL ' +
  'RETURNING purpose, key'
const END_DUE =
  'UPDATE _colmena_leases SET ended_index = ? WHERE ends_ms <= ? AND ended_index IS NULL ' +
  'RETURNING purpose, key'
const END_RETIRED =
  'UPDATE _colmena_leases SET ended_index = ? WHERE ended_index IS NULL AND origin IN ' +
  '(SELECT origin FROM _colmena_origins WHERE retired_index IS NOT NULL) RETURNING purpose, key'
const KEEP = 'REPLACE INTO _colmena_kept_results VALUES (?, ?, ?, ?)'
const DELETE_DUE_RESULTS = 'DELETE FROM _colmena_kept_results WHERE ends_ms <= ?'
const SELECT_SPAN = 'SELECT began_index, ended_index FROM _colmena_leases WHERE token = ?'
const HAS_ENDED = 'SELECT 1 FROM _colmena_leases WHERE ended_index <= ? LIMIT 1'
const DELETE_ENDED = 'DELETE FROM _colmena_leases WHERE ended_index <= ?'

/** An entry that may end leases. */
export interface LeaseEntry {
  readonly index: number
  /** Gets what it ends, as {@link leaseName} says it. */
  readonly ended: string[]
}

type Args = readonly (string | number | Uint8Array)[]

export function leaseName(purpose: string, key: string): string {
  return `${purpose}/${key}`
}

/**
 * Leases, in the system's file. Time decides only here: an entry that moves the clock ends what is
 * due by then, at its own index. Whether a token counts at some entry is a matter of indexes from
 * there on, as with origins: so a database that is behind this file after a crash gets the same
 * answers in its replay.
 */
export class Leases {
  readonly #file: DatabaseFile

  constructor(file: DatabaseFile) {
    this.#file = file
  }

  /** Moves the clock, which never goes back, to an entry's time. */
  advance({ index, ended }: LeaseEntry, wallMs: number): void {
    const { clockMs } = this.#file
    if (wallMs <= clockMs) return
    this.#file.clockMs = wallMs
    this.#end(ended, END_DUE, index, wallMs)
    this.#all(DELETE_DUE_RESULTS, wallMs)
  }

  /** What a process held that is gone. */
  endRetired({ index, ended }: LeaseEntry): void {
    this.#end(ended, END_RETIRED, index)
  }

  /** Does what a command asks, each request on its own. */
  run(entry: LeaseEntry, { origin, units, environment }: WriteCommand): readonly UnitResult[] {
    this.advance(entry, environment.wallMs)
    return units.map((unit) => {
      try {
        return leaseResult(this.#answer(entry, origin, leaseRequest(unit)))
      } catch (error) {
        if (!(error instanceof DecodeError)) throw error
        const refusal = { code: 'ERR_INVALID_ARGUMENT', message: error.message }
        return { ok: false, error: { ...refusal, sqliteCode: 0, statementIndex: 0 } }
      }
    })
  }

  /** Whether a lease was held when the entry at `index` came. */
  isHeld(token: number, index: number): boolean {
    const [span] = this.#all(SELECT_SPAN, token) as [bigint, bigint | null][]
    if (span === undefined || index <= span[0]) return false
    return span[1] === null || index < span[1]
  }

  /** Forgets leases that ended at or below `durable`: no entry can ask for them any more. */
  forget(durable: number): void {
    if (this.#all(HAS_ENDED, durable).length === 0) return
    const file = this.#file
    try {
      file.begin()
      this.#all(DELETE_ENDED, durable)
      file.commit(file.applied, file.term)
    } catch (error) {
      file.rollback()
      throw error
    }
  }

  #answer(entry: LeaseEntry, origin: string, request: LeaseRequest): LeaseAnswer {
    const { clockMs } = this.#file
    switch (request.what) {
      case 'acquire':
        return this.#acquire(entry, origin, request)
      case 'renew': {
        const { token, ttlMs } = request
        const renewed = this.#all(RENEW, clockMs + ttlMs, token)
        return renewed.length > 0 ? { what: 'held', token } : { what: 'ended' }
      }
      case 'release':
        return this.#release(entry, request.token) === null
          ? { what: 'ended' }
          : { what: 'released' }
      case 'finish': {
        const { token, isFailure, result, keepMs } = request
        const key = this.#release(entry, token)
        if (key === null) return { what: 'ended' }
        if (keepMs > 0) this.#all(KEEP, key, isFailure ? 1 : 0, result, clockMs + keepMs)
        return { what: 'released' }
      }
    }
  }

  #acquire(
    { index }: LeaseEntry,
    origin: string,
    { purpose, key, ttlMs }: Extract<LeaseRequest, { what: 'acquire' }>,
  ): LeaseAnswer {
    const { clockMs } = this.#file
    if (purpose === 'once') {
      const [kept] = this.#all(SELECT_KEPT, key) as [bigint, Uint8Array][]
      if (kept !== undefined) return { what: 'kept', isFailure: kept[0] === 1n, result: kept[1] }
    }
    const [live] = this.#all(SELECT_LIVE, purpose, key) as [bigint, string | null][]
    if (live !== undefined) {
      return { what: 'busy', nodeId: live[1] ?? '', leftMs: Number(live[0]) - clockMs }
    }
    const [row] = this.#all(INSERT, purpose, key, origin, index, clockMs + ttlMs) as [[bigint]]
    return { what: 'held', token: Number(row[0]) }
  }

  /** The key of the lease that this ended; null where it had ended before. */
  #release({ index, ended }: LeaseEntry, token: number): string | null {
    const [key] = this.#end(ended, END, index, token)
    return key ?? null
  }

  #end(ended: string[], sql: string, ...args: Args): readonly string[] {
    const rows = this.#all(sql, ...args) as [string, string][]
    for (const [purpose, key] of rows) ended.push(leaseName(purpose, key))
    return rows.map(([, key]) => key)
  }

  #all(sql: string, ...args: Args): readonly unknown[] {
    const { writer } = this.#file
    return guardOwn(writer, writer.path, () => writer.own(sql).all(...args))
  }
}
