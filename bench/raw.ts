/** What the machine does without us: the same work by SQLite and by the file system alone. */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { percentile } from './figures.ts'
import { INSERT, NOTE, SCHEMA } from './load.ts'
import type { RawResult } from './protocol.ts'

const BLOCK_BYTES = 4 * 1024
/** Laid out before, as a log lays out its files: only the data is to be synced. */
const FILE_BLOCKS = 4_096

export function insertRaw(folder: string, durationMs: number): RawResult {
  const path = join(folder, 'raw.db')
  const db = new DatabaseSync(path)
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${SCHEMA}`)
    const insert = db.prepare(INSERT)
    return repeat(durationMs, (at) => insert.run(at, NOTE))
  } finally {
    db.close()
    rmSync(path)
  }
}

export function syncRaw(folder: string, durationMs: number): RawResult {
  const path = join(folder, 'raw.log')
  const file = openSync(path, 'w')
  try {
    writeSync(file, Buffer.alloc(FILE_BLOCKS * BLOCK_BYTES))
    fdatasyncSync(file)
    const block = Buffer.alloc(BLOCK_BYTES, 1)
    return repeat(durationMs, (at) => {
      writeSync(file, block, 0, BLOCK_BYTES, (at % FILE_BLOCKS) * BLOCK_BYTES)
      fdatasyncSync(file)
    })
  } finally {
    closeSync(file)
    rmSync(path)
  }
}

function repeat(durationMs: number, work: (at: number) => void): RawResult {
  const latenciesMs: number[] = []
  const startedMs = performance.now()
  let nowMs = startedMs
  for (let at = 0; nowMs - startedMs < durationMs; at += 1) {
    work(at)
    const endedMs = performance.now()
    latenciesMs.push(endedMs - nowMs)
    nowMs = endedMs
  }
  const perSecond = (latenciesMs.length * 1_000) / (nowMs - startedMs)
  return { perSecond, p50Ms: percentile(latenciesMs, 50) }
}
