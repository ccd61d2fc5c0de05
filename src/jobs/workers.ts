import { setTimeout as pause } from 'node:timers/promises'
import { type ColmenaNode, type Database, isColmenaError, type ReaderStatement } from '../index.ts'
import { Attempt, type Handled, released } from './attempt.ts'
import { CLAIM_AT, CLAIM_MAX, type ClaimedRow, claimStatements, hasClaimable } from './claim.ts'
import { type End, endStatements, sizeOf } from './end.ts'
import { FIND_CLAIMS, RENEW, type RenewedRow } from './lease.ts'

export interface WorkersOptions {
  readonly node: ColmenaNode
  readonly database: Database
  /** How many handlers run at a time here. */
  readonly workers: number
  readonly leaseMs: number
  readonly pollMs: number
  readonly graceMs: number
  /** Who claims: of this handle alone. */
  readonly holder: string
  readonly handled: ReadonlyMap<string, Handled>
  /** The end of an attempt that ran here, once it is written down. */
  readonly ended: (end: Ended) => void
  readonly trouble: (message: string, cause: unknown) => void
}

export interface Ended {
  readonly row: ClaimedRow
  readonly end: End
  /** False where the attempt was over already: by its lease, or by somebody's word. */
  readonly isHeld: boolean
  /** What the job is now, where it was held. */
  readonly state: string | null
  readonly tookMs: number
}

interface Waiting {
  readonly row: ClaimedRow
  readonly end: End
  readonly tookMs: number
}

const RETRY_MS = 200
/** After a claim that got nothing. */
const IN_VAIN_MS = 20
/** Ready jobs that limits hold back are looked at so often: time alone may free them. */
const HELD_BACK_MS = 100
const TOKENS_MAX = 64
/** What one exchange tells of ends, well below what one write may be. */
const ENDS_BYTES_MAX = 2_500_000
/** What a renewal tells of progress; the rest is told the next time. */
const PROGRESS_CHARS_MAX = 1_000_000
/** Without a leader nobody hears how the last ones ended: their leases free them. */
const FLUSH_MS_MAX = 2_000

/**
 * Claims what may start, runs it, and writes down how it ended: one exchange with the log at a
 * time, each of which carries all that ended since the last one.
 */
export class Workers {
  readonly #options: WorkersOptions
  readonly #running = new Map<string, Attempt>()
  readonly #ends: Waiting[] = []
  /** Claims whose answer was lost: what they got is this node's to run. */
  readonly #lostTokens: string[] = []
  #claims = 0
  #begunCount = 0
  #isClaiming = true
  #isOver = false
  #wake: (() => void) | null = null
  #isWoken = false
  #looping: Promise<void> = Promise.resolve()
  #renewing: Promise<unknown> = Promise.resolve()
  readonly #closed = new AbortController()
  readonly #flushing = new AbortController()
  readonly #runs = new Set<Promise<void>>()

  constructor(options: WorkersOptions) {
    this.#options = options
  }

  start(): void {
    this.#looping = this.#loop()
    this.#renewing = Promise.all([this.#renewAgain(), this.#expireAgain()])
  }

  get runningCount(): number {
    return this.#running.size
  }

  /** Something may be there to do. */
  woken(): void {
    this.#isWoken = true
    this.#wake?.()
  }

  /** Takes no more; lets handlers end by themselves until `signal` is aborted, then tells them. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isClaiming = false
    const stopAll = (): void => {
      for (const attempt of this.#running.values()) attempt.stop('closing')
    }
    if (signal.aborted) stopAll()
    else signal.addEventListener('abort', stopAll, { once: true })
    while (this.#runs.size > 0) await Promise.all(this.#runs)
    signal.removeEventListener('abort', stopAll)
    this.#isOver = true
    this.woken()
    const tooLate = setTimeout(() => this.#flushing.abort(), FLUSH_MS_MAX)
    await this.#looping
    clearTimeout(tooLate)
    this.#closed.abort()
    await this.#renewing
  }

  /** Ends without a word to the log, as where the node is closed already. */
  async abandon(): Promise<void> {
    this.#isClaiming = false
    this.#isOver = true
    this.#ends.length = 0
    this.#flushing.abort()
    for (const attempt of this.#running.values()) attempt.stop('closing')
    this.#closed.abort()
    this.woken()
    await Promise.all([this.#looping, this.#renewing])
  }

  async #loop(): Promise<void> {
    while (!this.#isOver || this.#ends.length + this.#lostTokens.length > 0) {
      if (this.#options.database.closed || this.#flushing.signal.aborted) return
      const want = this.#wanted()
      if (want === 0 && this.#ends.length === 0 && !(this.#isOver && this.#lostTokens.length > 0)) {
        await this.#rest(this.#hasReady ? HELD_BACK_MS : this.#options.pollMs)
        continue
      }
      const begun = this.#begunCount
      const hadEnds = this.#ends.length > 0
      const isDone = await this.#exchange(want)
      // What another node took, or what is due by this node's clock alone, is there a little later.
      if (!isDone) await this.#rest(RETRY_MS)
      else if (begun === this.#begunCount && !hadEnds) await this.#rest(IN_VAIN_MS)
    }
  }

  /** So many as this node has room for, and its own file says that a claim would find. */
  #wanted(): number {
    const { workers, handled } = this.#options
    const free = Math.min(CLAIM_MAX, workers - this.#running.size)
    if (!this.#isClaiming || free <= 0 || handled.size === 0) return 0
    if (this.#lostTokens.length > 0) return free
    return this.#finds() ? free : 0
  }

  #finder: { readonly types: string; readonly statement: ReaderStatement } | null = null
  #hasReady = false

  #finds(): boolean {
    const { database, handled } = this.#options
    const types = [...handled.keys()].sort()
    const joined = types.join('\n')
    if (this.#finder?.types !== joined) {
      this.#finder = { types: joined, statement: database.reader.prepare(hasClaimable(types)) }
    }
    this.#isWoken = false
    const found = this.#finder.statement.get(types) !== undefined
    this.#hasReady = !found && this.#isAnyReady(types)
    return found
  }

  #ready: ReaderStatement | null = null

  /** Some of those that wait may be free for time alone, as a limit of their rate has passed. */
  #isAnyReady(types: readonly string[]): boolean {
    const sql = `SELECT 1 FROM colmena_jobs WHERE
      (ready = 1 AND type IN (SELECT value FROM json_each(?))) LIMIT 1`
    this.#ready ??= this.#options.database.reader.prepare(sql)
    return this.#ready.get([JSON.stringify(types)]) !== undefined
  }

  async #rest(ms: number): Promise<void> {
    if (this.#isWoken) {
      this.#isWoken = false
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, ms)
    this.#wake = resolve
    await promise
    clearTimeout(timer)
    this.#wake = null
  }

  /** @returns false where nothing came of it: what ended is told again. */
  async #exchange(want: number): Promise<boolean> {
    const { database, node, leaseMs, holder, handled } = this.#options
    const ends = this.#nextEnds()
    const statements = ends.length > 0 ? [...endStatements(ends.map(({ end }) => end))] : []
    const lost = this.#lostTokens.slice(0, TOKENS_MAX)
    const endAt = statements.length - 1
    const claimAt = statements.length + CLAIM_AT
    const token = `${holder}/${++this.#claims}`
    if (want > 0) {
      const types = [...handled.keys()].sort()
      statements.push(...claimStatements({ token, nodeId: node.nodeId, types, want, leaseMs }))
    }
    const lostAt = statements.length
    if (lost.length > 0) statements.push({ sql: FIND_CLAIMS, args: [JSON.stringify(lost)] })
    const heldUntilMs = performance.now() + leaseMs
    let results: readonly { readonly rows: readonly object[] }[]
    try {
      const { signal } = this.#flushing
      results = await database.batch(statements, { mode: 'write', signal })
    } catch (error) {
      if (want > 0 && !isNothing(error)) this.#lostTokens.push(token)
      if (isColmenaError(error) && error.code === 'ERR_TOO_LARGE') this.#tellLess(ends)
      this.#options.trouble('jobs could not be claimed or ended', error)
      return false
    }
    this.#endsMax = CLAIM_MAX
    this.#ends.splice(0, ends.length)
    this.#lostTokens.splice(0, lost.length)
    if (ends.length > 0) this.#tellEnds(ends, results[endAt]?.rows as readonly HeldRow[])
    if (want > 0) this.#begin(results[claimAt]?.rows as readonly ClaimedRow[], heldUntilMs)
    if (lost.length > 0) this.#begin(results[lostAt]?.rows as readonly ClaimedRow[], heldUntilMs)
    return true
  }

  /** So many as one write takes. */
  #nextEnds(): readonly Waiting[] {
    let bytes = 0
    const most = this.#ends.slice(0, this.#endsMax)
    const tooMany = most.findIndex(({ end }, at) => {
      bytes += sizeOf(end)
      return at > 0 && bytes > ENDS_BYTES_MAX
    })
    return tooMany === -1 ? most : most.slice(0, tooMany)
  }

  #endsMax = CLAIM_MAX

  /** What no write takes alone is told without what came of it: the others must not wait for it. */
  #tellLess(ends: readonly Waiting[]): void {
    this.#endsMax = Math.max(1, ends.length >> 1)
    const [only, another] = ends
    if (only === undefined || another !== undefined) return
    const { row, tookMs, end } = only
    const error = `what came of it is too long for a write (${sizeOf(end)} bytes)`
    const failed = { state: 'failed', outcome: 'discarded', result: null, log: null } as const
    this.#ends[0] = { row, tookMs, end: { ...end, ...failed, error } }
  }

  #tellEnds(ends: readonly Waiting[], held: readonly HeldRow[]): void {
    const states = new Map(held.map(({ id, attempt, state }) => [`${id} ${attempt}`, state]))
    for (const { row, end, tookMs } of ends) {
      const state = states.get(`${end.id} ${end.attempt}`) ?? null
      this.#options.ended({ row, end, isHeld: state !== null, state, tookMs })
    }
  }

  #begin(rows: readonly ClaimedRow[], heldUntilMs: number): void {
    for (const row of rows) {
      const key = `${row.id} ${row.attempt}`
      if (this.#running.has(key)) continue
      const known = this.#options.handled.get(row.type)
      // Claimed while its handler was taken away, or all of them: nothing of it has begun.
      if (known === undefined || !this.#isClaiming) {
        this.#ends.push({ row, end: released(row), tookMs: 0 })
        continue
      }
      this.#begunCount += 1
      const run = this.#runOne(key, row, known, heldUntilMs)
      this.#runs.add(run)
      void run.finally(() => this.#runs.delete(run))
    }
  }

  async #runOne(
    key: string,
    row: ClaimedRow,
    handled: Handled,
    heldUntilMs: number,
  ): Promise<void> {
    const { database, node, graceMs } = this.#options
    const place = { row, handled, database, nodeId: node.nodeId, graceMs }
    const attempt = new Attempt(place, heldUntilMs)
    this.#running.set(key, attempt)
    const startedMs = performance.now()
    const end = await attempt.run()
    this.#running.delete(key)
    if (attempt.isLeftBehind) {
      const why = `a handler of '${row.type}' goes on though it was told to end`
      this.#options.trouble(why, new Error(`job ${row.id}, attempt ${row.attempt}`))
    }
    this.#ends.push({ row, end, tookMs: performance.now() - startedMs })
    this.woken()
  }

  async #renewAgain(): Promise<void> {
    const { signal } = this.#closed
    while (!signal.aborted) {
      await pause(this.#options.leaseMs / 3, undefined, { signal }).catch(() => {})
      if (!signal.aborted) await this.#renew()
    }
  }

  /** Beside the renewals: without a leader one of those takes longer than a lease. */
  async #expireAgain(): Promise<void> {
    const { signal } = this.#closed
    while (!signal.aborted) {
      await pause(this.#options.leaseMs / 20, undefined, { signal }).catch(() => {})
      const nowMs = performance.now()
      for (const attempt of this.#running.values()) {
        if (attempt.heldUntilMs <= nowMs) attempt.stop('lost')
      }
    }
  }

  async #renew(): Promise<void> {
    const { database, leaseMs } = this.#options
    const attempts = [...this.#running.values()]
    if (attempts.length === 0) return
    let chars = 0
    const told = attempts.map(({ row, progress }) => {
      chars += progress?.length ?? 0
      const isTold = chars <= PROGRESS_CHARS_MAX
      return { id: row.id, attempt: row.attempt, progress: isTold ? progress : null }
    })
    const heldUntilMs = performance.now() + leaseMs
    const args = [JSON.stringify(told), leaseMs]
    try {
      const { signal } = this.#closed
      const { rows } = await database.execute<RenewedRow>(RENEW, args, { signal })
      const held = new Map(rows.map((row) => [`${row.id} ${row.attempt}`, row]))
      for (const [at, attempt] of attempts.entries()) {
        const row = held.get(`${attempt.row.id} ${attempt.row.attempt}`)
        if (row !== undefined) attempt.heldUntilMs = heldUntilMs
        if (attempt.progress === told[at]?.progress) attempt.progress = null
        if (row === undefined) attempt.stop('lost')
        else if (row.is_cancelled !== 0) attempt.stop('cancelled')
      }
    } catch (error) {
      if (this.#closed.signal.aborted) return
      this.#options.trouble('the leases of running jobs could not be renewed', error)
    }
  }

  /** Tells those that somebody cancelled, or freed, while they run here. */
  look(): void {
    if (this.#running.size === 0) return
    this.#held ??= this.#options.database.reader.prepare(HELD)
    const rows = this.#held.all([`${this.#options.holder}/`]) as unknown as readonly RenewedRow[]
    const held = new Map(rows.map((row) => [`${row.id} ${row.attempt}`, row]))
    for (const [key, attempt] of this.#running) {
      const row = held.get(key)
      if (row === undefined) attempt.stop('lost')
      else if (row.is_cancelled !== 0) attempt.stop('cancelled')
    }
  }

  #held: ReaderStatement | null = null
}

interface HeldRow {
  readonly id: string
  readonly attempt: number
  readonly state: string
}

const HELD = `SELECT id, attempt, is_cancelled FROM colmena_jobs
  WHERE state = 'running' AND substr(claim, 1, length(?1)) = ?1`

/** Whether nothing of a write that failed will ever be there. */
function isNothing(error: unknown): boolean {
  return isColmenaError(error) && error.outcome === 'not-applied'
}
