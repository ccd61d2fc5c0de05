/** Writers inside a node's process: each keeps one write under way and tells what became of it. */
import { setTimeout as pause } from 'node:timers/promises'
import type { ColmenaNode, Database } from '../../src/index.ts'
import { type Fate, toProcessError, type WriteFate, type WritersOptions } from './protocol.ts'

/** The tables that {@link Writers} fill; no uniqueness, so that a write done twice shows. */
export const LEDGER_SCHEMA: readonly string[] = [
  'CREATE TABLE writes (id TEXT NOT NULL)',
  'CREATE TABLE total (id INTEGER PRIMARY KEY, count INTEGER NOT NULL)',
  'INSERT INTO total VALUES (1, 0)',
]

const INSERT = 'INSERT INTO writes (id) VALUES (?)'
const COUNT = 'UPDATE total SET count = count + 1 WHERE id = 1'
/** After a refusal: long enough not to spin, short enough to be there when a leader is. */
const PAUSE_MS = 10

export class Writers {
  readonly #node: ColmenaNode
  readonly #report: (fates: readonly WriteFate[]) => void
  #fates: WriteFate[] = []
  #isStopping = false
  #running: Promise<void>[] = []

  constructor(node: ColmenaNode, report: (fates: readonly WriteFate[]) => void) {
    this.#node = node
    this.#report = report
  }

  start({ prefix, count, way, restMs = 0 }: WritersOptions): void {
    const write = way === 'transaction' ? writeByTransaction : writeByBatch
    for (let writer = 0; writer < count; writer += 1) {
      this.#running.push(this.#write(`${prefix}-${writer}`, write, restMs))
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#running)
    this.#flush()
  }

  async #write(prefix: string, write: typeof writeByBatch, restMs: number): Promise<void> {
    const db = this.#node.database()
    for (let count = 1; !this.#isStopping; count += 1) {
      const id = `${prefix}-${count}`
      try {
        await write(db, id)
        this.#tell({ id, fate: 'acknowledged', code: '' })
        if (restMs > 0) await pause(restMs)
      } catch (error) {
        const { outcome, code } = toProcessError(error)
        this.#tell({ id, fate: (outcome ?? 'unknown') as Fate, code })
        if (db.closed) return
        await pause(PAUSE_MS)
      }
    }
  }

  /** At most one turn late: what a killed process could not tell any more counts as unknown. */
  #tell(fate: WriteFate): void {
    if (this.#fates.length === 0) setImmediate(() => this.#flush())
    this.#fates.push(fate)
  }

  #flush(): void {
    if (this.#fates.length === 0) return
    this.#report(this.#fates)
    this.#fates = []
  }
}

async function writeByBatch(db: Database, id: string): Promise<void> {
  await db.batch([{ sql: INSERT, args: [id] }, COUNT])
}

/** What it read must still be so when it is applied, or two of them lose one's count. */
async function writeByTransaction(db: Database, id: string): Promise<void> {
  await db.transaction(async (tx) => {
    const { rows } = await tx.execute('SELECT count FROM total WHERE id = 1')
    await tx.execute(INSERT, [id])
    const count = Number(rows[0]?.['count']) + 1
    const { rowsAffected } = await tx.execute('UPDATE total SET count = ? WHERE id = 1', [count])
    if (rowsAffected !== 1) throw new Error('the row that was read is there')
  })
}
