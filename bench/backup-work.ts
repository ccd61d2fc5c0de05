/** What a member does with a backup: it runs one, sees how old what it ships is, and restores. */
import { copyFileSync, fsyncSync, openSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Backup } from '../src/backup/backup.ts'
import type { ColmenaNode } from '../src/index.ts'
import { monotonicMs } from './clock.ts'
import { INSERT, NOTE, SCHEMA } from './load.ts'

type BackupModule = typeof import('../src/backup/backup.ts')

const RAW_COMMIT_ROWS = 1_000

async function loadBackup(): Promise<BackupModule> {
  return import(new URL('../dist/backup/backup.js', import.meta.url).href)
}

export class BackupWork {
  #backup: Backup | null = null
  /** Writes that are answered and not shipped yet: their indexes, and when they were answered. */
  #answered: { readonly index: number; readonly atMs: number }[] = []
  #agesMs: number[] = []

  async start(node: ColmenaNode, folder: string, syncIntervalMs: number): Promise<void> {
    const { directoryTarget, startBackup } = await loadBackup()
    const targets = directoryTarget(folder)
    this.#backup = startBackup(node, { targets, syncIntervalMs, drills: { everyMs: 0 } })
    this.#backup.on('shipped', ({ last }) => this.#shipped(last))
    await this.#backup.sync()
  }

  wrote(index: number): void {
    if (this.#backup !== null) this.#answered.push({ index, atMs: monotonicMs() })
  }

  /** Ships the rest; answers with how old each write was when it was in the target. */
  async stop(): Promise<Float64Array> {
    await this.#backup?.close()
    this.#backup = null
    const agesMs = Float64Array.from(this.#agesMs)
    this.#agesMs = []
    this.#answered = []
    return agesMs
  }

  #shipped(last: number): void {
    const nowMs = monotonicMs()
    const left = this.#answered.filter(({ index }) => index > last)
    for (const { index, atMs } of this.#answered) if (index <= last) this.#agesMs.push(nowMs - atMs)
    this.#answered = left
  }
}

/** Milliseconds until a data directory was there whole. */
export async function restoreBackup(folder: string, dataDir: string): Promise<number> {
  const address = new URL('../dist/index/index.js', import.meta.url).href
  const { restoreNode } = (await import(address)) as typeof import('../src/index.ts')
  const { directoryTarget } = await loadBackup()
  const startedMs = performance.now()
  await restoreNode({ dataDir, nodeId: 'restored', restore: { from: directoryTarget(folder) } })
  return performance.now() - startedMs
}

/** The same inserts by SQLite alone, a thousand in a transaction; each second's. */
export function insertRawBatches(folder: string, rows: number): number {
  const path = join(folder, 'raw-batches.db')
  const db = new DatabaseSync(path)
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${SCHEMA}`)
    const insert = db.prepare(INSERT)
    const startedMs = performance.now()
    for (let at = 0; at < rows; at += 1) {
      if (at % RAW_COMMIT_ROWS === 0) db.exec('BEGIN')
      insert.run(at, NOTE)
      if (at % RAW_COMMIT_ROWS === RAW_COMMIT_ROWS - 1) db.exec('COMMIT')
    }
    return (rows * 1_000) / (performance.now() - startedMs)
  } finally {
    db.close()
    rmSync(path)
  }
}

/** A file copied and synced by the system; megabytes a second. */
export function copyRaw(path: string, folder: string): number {
  const copy = join(folder, 'raw-copy.db')
  const startedMs = performance.now()
  copyFileSync(path, copy)
  const file = openSync(copy, 'r+')
  fsyncSync(file)
  const tookMs = performance.now() - startedMs
  const { size } = statSync(copy)
  rmSync(copy)
  return size / 1e3 / tookMs
}
