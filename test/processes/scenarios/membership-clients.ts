/** Clients of nodes that come and go, which write as docs/errors.md tells a user to. */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import type { ColmenaError, ColmenaNode, Database, Outcome } from '../../../src/index.ts'
import { DEADLINE_MS, until } from '../wait.ts'

/** Twice is as good as once for the first; the second shows how often each try was run. */
export const CLIENTS_SCHEMA: readonly string[] = [
  'CREATE TABLE writes (id TEXT PRIMARY KEY) STRICT',
  'CREATE TABLE tries (id TEXT NOT NULL) STRICT',
]

const WRITE = 'INSERT INTO writes VALUES (?) ON CONFLICT DO NOTHING'
const TRY = 'INSERT INTO tries VALUES (?)'
/** After a refusal: long enough not to spin, short enough to be there when a leader is. */
const PAUSE_MS = 20
/** A node that is no more: another one has to be asked. */
const GONE: readonly string[] = ['ERR_REMOVED', 'ERR_CLOSED', 'ERR_FAILED']

export interface ClientsOptions {
  readonly count: number
  readonly restMs: number
}

export class Clients {
  readonly count: number
  readonly codes: Record<string, number> = {}
  readonly #nodes: () => readonly ColmenaNode[]
  readonly #restMs: number
  readonly #written: string[] = []
  /** What became of each try, as its caller was told. */
  readonly #outcomes = new Map<string, Outcome | 'acknowledged'>()
  readonly #running: Promise<void>[]
  readonly #failures: Error[] = []
  #longestMs = 0
  #isStopping = false

  constructor(nodes: () => readonly ColmenaNode[], { count, restMs }: ClientsOptions) {
    this.#nodes = nodes
    this.count = count
    this.#restMs = restMs
    this.#running = Array.from({ length: count }, (_, client) => this.#run(client))
  }

  get summary(): string {
    const retried = this.#outcomes.size - this.#written.length
    return (
      `${this.#written.length} writes acknowledged, ${retried} tries that were not, ` +
      `longest write ${this.#longestMs.toFixed(0)} ms`
    )
  }

  /** Resolves once so many more writes than now are acknowledged. */
  async untilAcknowledged(count: number): Promise<void> {
    const wanted = this.#written.length + count
    await until(`${wanted} acknowledged writes`, () => {
      this.#throwFailure()
      return this.#written.length >= wanted
    })
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
    this.#throwFailure()
  }

  /** Each write that was acknowledged is there; each try as often as was promised. */
  async check(db: Database): Promise<void> {
    const options = { consistency: 'strong' } as const
    const writes = await db.execute('SELECT id FROM writes', [], options)
    const ids = new Set(writes.rows.map(({ id }) => String(id)))
    assert.deepEqual(
      this.#written.filter((id) => !ids.has(id)),
      [],
      'acknowledged and lost',
    )
    assert.equal(ids.size, this.#written.length, 'no client has another write under way')
    const tries = await db.execute('SELECT id FROM tries', [], options)
    const times = new Map<string, number>()
    for (const { id } of tries.rows) times.set(String(id), (times.get(String(id)) ?? 0) + 1)
    for (const [id, outcome] of this.#outcomes) {
      const run = times.get(id) ?? 0
      const isRight = outcome === 'unknown' ? run <= 1 : run === (outcome === 'not-applied' ? 0 : 1)
      assert.ok(isRight, `try ${id} was told to be ${outcome}, and ran ${run} times`)
    }
  }

  async #run(client: number): Promise<void> {
    try {
      for (let write = 1; !this.#isStopping; write += 1) {
        await this.#write(client, `${client}-${write}`)
        if (this.#restMs > 0) await pause(this.#restMs)
      }
    } catch (error) {
      this.#failures.push(error as Error)
    }
  }

  /** Until it is acknowledged; another node each time. */
  async #write(client: number, id: string): Promise<void> {
    const startedMs = performance.now()
    for (let at = 1; ; at += 1) {
      const nodes = this.#nodes()
      const node = nodes[(client + at) % nodes.length] as ColmenaNode
      const isDone = await this.#try(node, id, `${id}/${at}`)
      const passedMs = performance.now() - startedMs
      this.#longestMs = Math.max(this.#longestMs, passedMs)
      if (isDone) return
      if (passedMs > DEADLINE_MS) throw new Error(`write ${id} failed for ever`)
      await pause(PAUSE_MS)
    }
  }

  async #try(node: ColmenaNode, id: string, attempt: string): Promise<boolean> {
    try {
      await node.database().batch([
        { sql: WRITE, args: [id] },
        { sql: TRY, args: [attempt] },
      ])
      this.#outcomes.set(attempt, 'acknowledged')
      this.#written.push(id)
      return true
    } catch (error) {
      const { code, retryable, outcome } = error as ColmenaError
      this.#outcomes.set(attempt, outcome)
      const what = `${code} ${outcome}`
      this.codes[what] = (this.codes[what] ?? 0) + 1
      if (outcome === 'committed') this.#written.push(id)
      else if (!retryable && outcome !== 'unknown' && !GONE.includes(code)) throw error
      return outcome === 'committed'
    }
  }

  #throwFailure(): void {
    const [failure] = this.#failures
    if (failure !== undefined) throw failure
  }
}
