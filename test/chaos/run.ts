import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { checkIntegrity, Reader } from '../../src/sqlite/sqlite.ts'
import { SeededRandom } from '../simulated/random.ts'
import { Client } from './client.ts'
import { calm, heal, judgeFiles, judgeStatus, untilLevel, verify } from './heal.ts'
import { inTime } from './in-time.ts'
import { Ledger } from './ledger.ts'
import { Nemesis } from './nemesis.ts'
import { Record } from './record.ts'
import { describeProgress, describeRun } from './report.ts'
import { Rig } from './rig.ts'
import { type Fault, formatSchedule } from './schedule.ts'
import { Verdict } from './verdict.ts'
import { Bank } from './workloads/bank.ts'
import { Elements } from './workloads/elements.ts'
import { Fences } from './workloads/fences.ts'
import { JobRuns } from './workloads/job-runs.ts'
import { Levels } from './workloads/levels.ts'
import { Onces } from './workloads/onces.ts'
import { Places } from './workloads/places.ts'
import { Registers } from './workloads/registers.ts'
import type { Books, Workload } from './workloads/workload.ts'

export interface ChaosOptions {
  readonly nodes: number
  readonly durationMs: number
  readonly seed: number
  readonly schedule: readonly Fault[]
  /** What a client rests between two operations, on average. */
  readonly restMs?: number
  readonly strongReads?: 'majority' | 'lease'
  readonly progress?: (line: string) => void
  /** Ends it early: what there is by then is judged. */
  readonly signal?: AbortSignal
  /** For tests: changes what was judged, which is judged once more after it. */
  readonly forge?: (all: Forgeable) => void
}

export interface Forgeable {
  readonly verdict: Verdict
  readonly ledger: Ledger
  readonly dataDirs: readonly string[]
}

export interface ChaosReport {
  readonly verdict: Verdict
  readonly lines: readonly string[]
  /** Where history and output are kept; null where all is well. */
  readonly folder: string | null
  readonly operations: number
  readonly nemesis: Nemesis
}

const REST_MS = 60
const TICK_MS = 1_000
const PROGRESS_EVERY = 10
/** All that comes after the time of faults is over by then, whatever hangs. */
const END_MS = 300_000

/** Real nodes, trouble, and clients that are told what becomes of all that they do. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const run = new Run(options)
  try {
    await inTime(options.durationMs + END_MS, run.run())
  } catch (error) {
    run.verdict.add('broken', error instanceof Error ? (error.stack ?? error.message) : `${error}`)
  }
  return run.end()
}

class Run {
  readonly verdict: Verdict = new Verdict((text) => this.#tell(text))
  readonly #options: ChaosOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'colmena-chaos-'))
  readonly #rig: Rig
  readonly #books: Books
  readonly #workloads: readonly Workload[]
  readonly #nemesis: Nemesis
  readonly #startedMs = performance.now()
  readonly #leaders = new Set<string>()
  readonly #memoryBytes = new Map<string, number>()
  /** No new faults: time is up, or somebody has had enough. */
  readonly #over = new AbortController()
  #areClientsOver = false

  constructor(options: ChaosOptions) {
    this.#options = options
    const { nodes: count, strongReads = 'majority', signal } = options
    const { verdict } = this
    const record = new Record(join(this.#folder, 'history.jsonl'))
    this.#books = { record, ledger: new Ledger(), verdict }
    this.#rig = new Rig({
      count,
      folder: this.#folder,
      strongReads,
      oddity: (text) => verdict.add('broken', text),
    })
    this.#workloads = createWorkloads(this.#books)
    signal?.addEventListener('abort', () => this.#over.abort())
    const stage = {
      rig: this.#rig,
      folder: this.#folder,
      hold: (ms: number) => this.#hold(ms),
      judgeCopy: (path: string, where: string) => this.#judgeCopy(path, where),
    }
    this.#nemesis = new Nemesis(stage, ({ fault, beganMs, what, strikes }) => {
      const missed = strikes > 0 ? '' : ' (nothing struck)'
      this.#tell(`${(beganMs / 1_000).toFixed(1)} s ${fault.kind}: ${what}${missed}`)
    })
  }

  async run(): Promise<void> {
    await this.#start()
    await this.#trouble()
    await this.#judge()
  }

  async #start(): Promise<void> {
    await this.#rig.start()
    const [first] = this.#rig.seats
    for (const sql of this.#workloads.flatMap(({ schema }) => schema)) {
      await first?.handle?.call('execute', sql)
    }
  }

  /** Clients and faults at once, then clients alone on what has healed. */
  async #trouble(): Promise<void> {
    const clients = this.#createClients().map(([client, workload]) => this.#work(client, workload))
    this.#books.record.openGap()
    // Judged at once where they fail, and waited for at the end.
    const working = Promise.all(clients)
    working.catch(() => this.#over.abort())
    const ticking = this.#tick()
    const timer = setTimeout(() => this.#over.abort(), this.#options.durationMs)
    try {
      await this.#nemesis.run(this.#options.schedule, this.#over.signal)
      await this.#hold(this.#options.durationMs)
      await heal(this.#rig)
    } finally {
      clearTimeout(timer)
      this.#over.abort()
      this.#books.record.closeGap()
      this.#areClientsOver = true
      await Promise.all([working, ticking])
    }
  }

  async #judge(): Promise<void> {
    for (const workload of this.#workloads) await workload.settle?.(this.#rig)
    for (const workload of this.#workloads) workload.finish()
    await untilLevel(this.#rig)
    await verify(this.#rig, this.verdict)
    await this.#lookAtNodes()
    await Promise.all(this.#rig.seats.map((seat) => this.#rig.stop(seat)))
    const files = this.#rig.seats.map((seat) => {
      return [this.#rig.name(seat), this.#rig.dataDir(seat)] as const
    })
    const { verdict } = this
    const { ledger } = this.#books
    judgeFiles(files, this.#workloads, ledger, verdict)
    if (this.#options.forge === undefined) return
    this.#options.forge({ verdict, ledger, dataDirs: files.map(([, dataDir]) => dataDir) })
    judgeFiles(files, this.#workloads, ledger, verdict)
  }

  async end(): Promise<ChaosReport> {
    const { record } = this.#books
    const { verdict } = this
    // Where something hung they are under way still.
    this.#over.abort()
    this.#areClientsOver = true
    calm(this.#rig)
    await this.#rig.end()
    record.close()
    const folder = verdict.isGood ? null : this.#folder
    this.#rig.release(folder !== null)
    const lines = describeRun({
      ...this.#options,
      strongReads: this.#options.strongReads ?? 'majority',
      tookMs: performance.now() - this.#startedMs,
      folder,
      verdict,
      record,
      nemesis: this.#nemesis,
      leaders: this.#leaders.size,
      memoryBytes: this.#memoryBytes,
    })
    if (folder === null) {
      rmSync(this.#folder, { recursive: true, force: true })
    } else {
      writeFileSync(join(folder, 'schedule.jsonl'), formatSchedule(this.#options.schedule))
      writeFileSync(join(folder, 'report.txt'), `${lines.join('\n')}\n`)
    }
    return { verdict, lines, folder, operations: record.operations, nemesis: this.#nemesis }
  }

  #createClients(): readonly (readonly [Client, Workload])[] {
    const random = new SeededRandom(this.#options.seed)
    let number = 0
    return this.#workloads.flatMap((workload) =>
      Array.from({ length: workload.clients }, () => {
        number += 1
        const stream = random.stream(`client ${number}`)
        return [new Client(number, this.#rig, stream, this.verdict), workload] as const
      }),
    )
  }

  async #work(client: Client, workload: Workload): Promise<void> {
    const { restMs = REST_MS } = this.#options
    while (!this.#areClientsOver) {
      await workload.step(client)
      await pause(client.random.between(restMs / 2, restMs * 1.5))
    }
  }

  async #tick(): Promise<void> {
    for (let ticks = 1; !this.#areClientsOver; ticks += 1) {
      await pause(TICK_MS - 1)
      if (!this.#over.signal.aborted) await this.#rig.revive()
      await this.#lookAtNodes()
      if (ticks % PROGRESS_EVERY > 0) continue
      const pastMs = performance.now() - this.#startedMs
      this.#tell(describeProgress(pastMs, this.#books.record, this.#leaders.size, this.verdict))
    }
  }

  async #lookAtNodes(): Promise<void> {
    this.#setMemory('clients and proxies', process.memoryUsage().rss)
    await Promise.all(
      this.#rig.seats.map(async (seat) => {
        const bytes = await this.#rig.ask(seat, 'peakMemoryBytes')
        this.#setMemory(`node ${seat.at + 1}`, bytes ?? 0)
      }),
    )
    for (const { seat, status } of await this.#rig.statuses()) {
      for (const { term, leaderId } of status.terms) {
        if (leaderId !== null) this.#leaders.add(`${term} ${leaderId}`)
      }
      judgeStatus(this.#rig.name(seat), status, this.verdict)
    }
  }

  #setMemory(name: string, bytes: number): void {
    this.#memoryBytes.set(name, Math.max(bytes, this.#memoryBytes.get(name) ?? 0))
  }

  /** Until then, or until there are to be no more faults. */
  async #hold(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#over.signal }).catch(() => {})
  }

  #judgeCopy(path: string, where: string): void {
    const reader = new Reader(path)
    try {
      const integrity = checkIntegrity(reader)
      if (integrity !== 'ok') this.verdict.add('broken', `${where}: ${integrity}`)
      for (const workload of this.#workloads) {
        workload.judge?.((sql) => reader.query(sql, []).rows, where)
      }
    } finally {
      reader.close()
    }
  }

  #tell(line: string): void {
    this.#options.progress?.(line)
  }
}

function createWorkloads(books: Books): readonly Workload[] {
  return [
    new Registers(books),
    new Elements(books, { name: 'appends', clients: 3, together: 1 }),
    new Elements(books, { name: 'sets', clients: 2, together: 2 }),
    new Bank(books),
    new Places(books),
    new Levels(books),
    new Fences(books),
    new Onces(books),
    new JobRuns(books),
  ]
}
