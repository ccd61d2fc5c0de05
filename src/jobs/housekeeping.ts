import { setTimeout as pause } from 'node:timers/promises'
import type { ColmenaNode, Database, ReaderStatement, ResultSet } from '../index.ts'
import { LOST_AT, type LostRow, NEEDS_SWEEP, sweepStatements, takeOverStatements } from './end.ts'
import type { JobsConfig } from './options.ts'
import { reap } from './reaper.ts'
import { fireDue } from './schedules.ts'

export interface HousekeepingOptions {
  readonly node: ColmenaNode
  readonly database: Database
  readonly config: JobsConfig
  readonly run: string
  /** An attempt whose worker was lost, once this node has said so. */
  readonly lost: (row: LostRow) => void
  readonly trouble: (message: string, cause: unknown) => void
}

/** The leader does it at once, others where it does not: all of it may be tried twice. */
const PATIENCE_MS = 2_000
const RETRY_MS = 500

/** Frees what lost workers held, fires schedules, and removes what is old. */
export class Housekeeping {
  reaped = 0
  swept = 0
  readonly #options: HousekeepingOptions
  readonly #end = new AbortController()
  #needs: ReaderStatement | null = null
  #due: ReaderStatement | null = null
  #loops: readonly Promise<void>[] = []
  #wake: (() => void) | null = null
  #neededSinceMs: number | null = null

  constructor(options: HousekeepingOptions) {
    this.#options = options
  }

  start(): void {
    this.#loops = [this.#keep(), this.#reap()]
  }

  async close(): Promise<void> {
    this.#end.abort()
    this.#wake?.()
    await Promise.all(this.#loops)
  }

  woken(): void {
    this.#wake?.()
  }

  /** Until something may be tried again. */
  async pause(): Promise<void> {
    await pause(RETRY_MS, undefined, { signal: this.#end.signal }).catch(() => {})
  }

  /** What an earlier process of this node held is free. */
  async takeOver(): Promise<void> {
    const { node, database, run } = this.#options
    this.#tellLost(await database.batch([...takeOverStatements(node.nodeId, `${run}/`)], 'write'))
  }

  async #keep(): Promise<void> {
    while (!this.#end.signal.aborted) {
      try {
        if (this.#isNeeded()) await this.#tidy()
      } catch (error) {
        if (this.#end.signal.aborted || this.#options.database.closed) return
        this.#options.trouble('lost workers were not looked for, or schedules not fired', error)
        await this.pause()
      }
      await this.#rest()
    }
  }

  /** By this node's own file; whoever does not lead waits a little for who does. */
  #isNeeded(): boolean {
    const { database, node } = this.#options
    this.#needs ??= database.reader.prepare(NEEDS_SWEEP)
    this.#due ??= database.reader.prepare(IS_DUE)
    const isNeeded = [this.#needs, this.#due].some((asked) => asked.get()?.['needed'] === 1)
    if (!isNeeded) {
      this.#neededSinceMs = null
      return false
    }
    const nowMs = performance.now()
    this.#neededSinceMs ??= nowMs
    return node.isLeader || nowMs - this.#neededSinceMs >= PATIENCE_MS
  }

  async #tidy(): Promise<void> {
    const { database } = this.#options
    const { signal } = this.#end
    await fireDue(database, signal)
    if (this.#needs?.get()?.['needed'] !== 1) return
    const answers = await database.batch([...sweepStatements()], { mode: 'write', signal })
    this.#tellLost(answers)
  }

  #tellLost(answers: readonly ResultSet[]): void {
    const rows = (answers[LOST_AT]?.rows ?? []) as unknown as readonly LostRow[]
    this.swept += rows.length
    for (const row of rows) this.#options.lost(row)
  }

  async #rest(): Promise<void> {
    if (this.#end.signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, this.#options.config.pollMs)
    this.#wake = resolve
    await promise
    clearTimeout(timer)
    this.#wake = null
  }

  async #reap(): Promise<void> {
    const { config, database } = this.#options
    const { signal } = this.#end
    while (!signal.aborted) {
      await pause(config.retention.everyMs, undefined, { signal }).catch(() => {})
      // Whoever leads: a leader may be one that has no jobs. What one removed no other finds.
      if (signal.aborted) return
      try {
        this.reaped += await reap(database, config.retention, signal)
      } catch (error) {
        if (signal.aborted || database.closed) return
        this.#options.trouble('finished jobs were not removed', error)
      }
    }
  }
}

const IS_DUE = `SELECT EXISTS (SELECT 1 FROM colmena_job_schedules
  WHERE next_at <= CAST(unixepoch('subsec') * 1000 AS INTEGER)) AS needed`
