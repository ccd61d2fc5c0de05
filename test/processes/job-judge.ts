/** What the history of jobs must never have, whoever ran them. */
import assert from 'node:assert/strict'
import { Reader } from '../../src/sqlite/sqlite.ts'
import { databaseFile } from './content.ts'

/** A job became something, in the order of the log. */
export interface Turn {
  readonly seq: number
  readonly job: string
  readonly type: string
  readonly lane: string | null
  readonly key: string | null
  readonly attempt: number
  /** Null of one that was made. */
  readonly was: string | null
  readonly state: string
  readonly startedAt: number
}

export interface JudgedLimits {
  /** By type. */
  readonly concurrency?: Readonly<Record<string, number>>
  readonly keyConcurrency?: Readonly<Record<string, number>>
  readonly rate?: Readonly<Record<string, { readonly max: number; readonly perMs: number }>>
}

export interface HistoryFigures {
  readonly made: number
  readonly attempts: number
  readonly succeeded: number
  /** The most that ran at a time, of each type and of any concurrency key of it. */
  readonly most: Readonly<Record<string, number>>
  readonly mostOfKey: Readonly<Record<string, number>>
}

const NEXT: Readonly<Record<string, readonly string[]>> = {
  waiting: ['pending', 'failed', 'cancelled'],
  pending: ['running', 'cancelled'],
  running: ['pending', 'succeeded', 'failed', 'dead', 'cancelled'],
}

/** @throws AssertionError for what must never be, with the place in the history. */
export function judgeHistory(turns: readonly Turn[], limits: JudgedLimits = {}): HistoryFigures {
  const last = new Map<string, Turn>()
  const live = new Map<string, string>()
  const ofType = new Counts(limits.concurrency ?? {})
  const ofKey = new Counts(limits.keyConcurrency ?? {})
  const figures = { made: 0, attempts: 0, succeeded: 0 }
  for (const turn of turns) {
    const { seq, job, type, lane, key, attempt, was, state } = turn
    const where = `at ${seq}, job ${job} of '${type}', attempt ${attempt}`
    const before = last.get(job)
    last.set(job, turn)
    assert.equal(was, before?.state ?? null, `${where}: what it was`)
    const isClaim = state === 'running'
    if (before === undefined) figures.made += 1
    else assert.ok(NEXT[before.state]?.includes(state), `${where}: ${before.state} to ${state}`)
    assert.equal(attempt, (before?.attempt ?? 0) + (isClaim ? 1 : 0), `${where}: ${state}`)
    if (isClaim) figures.attempts += 1
    if (state === 'succeeded') figures.succeeded += 1
    const change = (isClaim ? 1 : 0) - (was === 'running' ? 1 : 0)
    ofType.add(type, type, change, where)
    if (lane !== null) ofKey.add(type, `${type} ${lane}`, change, where)
    if (key === null) continue
    const holder = live.get(`${type} ${key}`)
    assert.ok(holder === undefined || holder === job, `${where}: ${holder} has key ${key} as well`)
    if (state in NEXT) live.set(`${type} ${key}`, job)
    else live.delete(`${type} ${key}`)
  }
  judgeRates(turns, limits)
  return { ...figures, most: ofType.most, mostOfKey: ofKey.most }
}

/** How many run at a time. */
class Counts {
  readonly most: Record<string, number> = {}
  readonly #limits: Readonly<Record<string, number>>
  readonly #running = new Map<string, number>()

  constructor(limits: Readonly<Record<string, number>>) {
    this.#limits = limits
  }

  add(type: string, of: string, change: number, where: string): void {
    const count = (this.#running.get(of) ?? 0) + change
    this.#running.set(of, count)
    this.most[type] = Math.max(this.most[type] ?? 0, count)
    const limit = this.#limits[type] ?? Number.POSITIVE_INFINITY
    assert.ok(count <= limit, `${where}: ${count} of ${of} run at a time, at most ${limit} may`)
  }
}

/** By the time of the log, which is that of all nodes. */
function judgeRates(turns: readonly Turn[], { rate = {} }: JudgedLimits): void {
  for (const [type, { max, perMs }] of Object.entries(rate)) {
    const starts = turns.filter((turn) => turn.type === type && turn.state === 'running')
    for (const [at, { seq, startedAt }] of starts.entries()) {
      const first = starts[at - max]
      const tookMs = startedAt - (first?.startedAt ?? Number.NEGATIVE_INFINITY)
      const what = `at ${seq}: ${max + 1} of '${type}' began in ${tookMs} ms`
      assert.ok(tookMs >= perMs, `${what}, at most ${max} may in ${perMs} ms`)
    }
  }
}

/** An attempt as its handler tells it, by the clock of the one machine that all nodes are on. */
export interface Run {
  readonly type: string
  readonly lane: string | null
  readonly fromMs: number
  readonly toMs: number
}

/** Handlers run only while their attempts do: no more of them either. */
export function judgeRuns(runs: readonly Run[], limits: JudgedLimits): void {
  const ends = runs.flatMap(({ type, lane, fromMs, toMs }) => [
    { type, lane, atMs: fromMs, change: 1 },
    // One that is only known to have begun was there at that moment.
    { type, lane, atMs: Math.max(toMs, fromMs + 0.5), change: -1 },
  ])
  // Of those at the same millisecond, ends come first.
  ends.sort((a, b) => a.atMs - b.atMs || a.change - b.change)
  const ofType = new Counts(limits.concurrency ?? {})
  const ofKey = new Counts(limits.keyConcurrency ?? {})
  for (const { type, lane, atMs, change } of ends) {
    const where = `handlers of '${type}' at ${atMs}`
    ofType.add(type, type, change, where)
    if (lane !== null) ofKey.add(type, `${type} ${lane}`, change, where)
  }
}

type Values = Readonly<Record<string, string | number | null>>

/** The tables of a node that does not run. */
export class JobTables {
  readonly #reader: Reader

  constructor(dataDir: string) {
    this.#reader = new Reader(databaseFile(dataDir))
  }

  close(): void {
    this.#reader.close()
  }

  rows(sql: string): readonly Values[] {
    const { columns, rows } = this.#reader.query(sql, [])
    return rows.map((row) => {
      const values = row.map((value) => (typeof value === 'bigint' ? Number(value) : value))
      return Object.fromEntries(columns.map((name, at) => [name, values[at]])) as Values
    })
  }

  history(): readonly Turn[] {
    return this.rows(`SELECT seq, job, type, lane, unique_key AS key, attempt, was, state,
      coalesce(started_at, 0) AS startedAt FROM history ORDER BY seq`) as unknown as Turn[]
  }

  /**
   * Without those whose lease ended: their handlers may not have heard of it at once. One that has
   * no end was killed; that it ran at all is known of its beginning alone.
   */
  runs(): readonly Run[] {
    return this.rows(`SELECT j.type, j.lane, b.at AS fromMs, coalesce(e.at, b.at) AS toMs
      FROM begins AS b JOIN colmena_jobs AS j ON j.id = b.job
      LEFT JOIN ends AS e ON e.job = b.job AND e.attempt = b.attempt
      LEFT JOIN colmena_job_attempts AS a ON a.job = b.job AND a.attempt = b.attempt
      WHERE coalesce(a.outcome, '') NOT IN ('lost', 'timed out')`) as unknown as Run[]
  }
}
