/** A process of the bench: it runs one node, or raw work, as it is told over IPC. */
import { randomBytes } from 'node:crypto'
import type { ColmenaNode, OpenOptions } from '../src/index.ts'
import { BackupWork, copyRaw, insertRawBatches, restoreBackup } from './backup-work.ts'
import { monotonicMs, pause } from './clock.ts'
import { JobWork } from './job-work.ts'
import { INSERT, Load, NOTE, type Write } from './load.ts'
import { profileThreads, startProfile, stopProfile } from './profiled-thread.ts'
import type { FromMember, MemberCalls, ToMember, Written } from './protocol.ts'
import { insertRaw, syncRaw } from './raw.ts'
import { Reading } from './reading.ts'
import { transact } from './transactions.ts'

type Handlers = {
  readonly [Name in keyof MemberCalls]: (
    ...args: Parameters<MemberCalls[Name]>
  ) => ReturnType<MemberCalls[Name]> | Promise<ReturnType<MemberCalls[Name]>>
}

/** Sent together, within what a node lets wait. */
const FILL_LANES = 4
const RETRY_MS = 1

let opened: ColmenaNode | null = null
let reading: Reading | null = null
let jobWork: JobWork | null = null
const load = new Load()
const backupWork = new BackupWork()

const handlers: Handlers = {
  open: async (options, isProfiled) => {
    const startedMs = performance.now()
    if (isProfiled) profileThreads()
    opened = await openBuilt(options)
    await opened.database().execute('SELECT 1', [], { consistency: 'none' })
    return performance.now() - startedMs
  },
  execute: async (sql, args, options) => {
    await node()
      .database()
      .execute(sql, args as never, options)
  },
  fill: async (sql, rows, bodyBytes) => {
    let left = rows
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1
        await node()
          .database()
          .execute(sql, [randomBytes(bodyBytes)])
      }
    }
    await Promise.all(Array.from({ length: FILL_LANES }, lane))
  },
  prepareReads: async (folder) => {
    reading = new Reading(node(), await Reading.fill(node(), folder))
  },
  read: (plan) => {
    reading ??= new Reading(node(), null)
    return reading.run(plan)
  },
  status: () => node().status(),
  isLeader: () => node().isLeader,
  knowsLeader: () => node().leader !== null,
  startWrites: (writers, what = 'item') => load.start(writers, writeOf(what)),
  stopWrites: () => load.stop(),
  writeUntilDone,
  transact: (folder, rounds) => transact(node(), folder, rounds),
  openQueue: async (place) => {
    jobWork = await JobWork.open(place, opened)
  },
  prepareType: (type) => jobs().queue.prepare(type),
  enqueueMany: (type, count) => jobs().enqueueMany(type, count),
  enqueueApart: (type, count) => jobs().enqueueApart(type, count),
  startWork: (type) => jobs().start(type),
  stopWork: () => jobs().stop(),
  startedCount: () => jobs().startedCount,
  takeStarts: () => jobs().takeStarts(),
  startBackup: (folder, syncIntervalMs) => backupWork.start(node(), folder, syncIntervalMs),
  stopBackup: () => backupWork.stop(),
  writeApart: async (durationMs) => {
    const untilMs = monotonicMs() + durationMs
    while (monotonicMs() < untilMs) {
      const { index } = await node().database().execute(INSERT, [0, NOTE])
      backupWork.wrote(index)
    }
  },
  restoreBackup,
  countRows: async () => {
    const { rows } = await node().database().execute('SELECT count(*) AS count FROM items')
    return Number(rows[0]?.['count'])
  },
  copyTo: async (path) => void (await node().database().copyTo(path)),
  rawBatches: insertRawBatches,
  rawCopy: copyRaw,
  rawInserts: insertRaw,
  rawSyncs: syncRaw,
  startProfile,
  stopProfile,
  rssBytes: () => process.memoryUsage.rss(),
  peakRssBytes: () => load.peakRssBytes,
}

process.on('message', (message: ToMember) => void answer(message))
// Whoever started this process is gone: nobody would ever end it.
process.on('disconnect', () => process.exit())

async function answer({ id, method, args }: ToMember): Promise<void> {
  try {
    const handler = handlers[method] as (...args: readonly unknown[]) => unknown
    tell({ id, value: await handler(...args) })
  } catch (error) {
    tell({ id, failure: error instanceof Error ? (error.stack ?? error.message) : String(error) })
  }
}

function tell(message: FromMember): void {
  process.send?.(message)
}

function node(): ColmenaNode {
  if (opened === null) throw new Error('open first')
  return opened
}

function jobs(): JobWork {
  if (jobWork === null) throw new Error('open a queue first')
  return jobWork
}

function writeOf(what: Written): Write {
  if (what !== 'item') return jobs().writeOf(what)
  const db = node().database()
  return (owner) => db.execute(INSERT, [owner, NOTE])
}

/** The package as it is built; it lies beside this file's folder. */
async function openBuilt(options: OpenOptions): Promise<ColmenaNode> {
  const address = new URL('../dist/index/index.js', import.meta.url).href
  const { open } = (await import(address)) as typeof import('../src/index.ts')
  return open(options)
}

async function writeUntilDone(): Promise<number> {
  for (;;) {
    try {
      await node().database().execute(INSERT, [0, NOTE])
      return monotonicMs()
    } catch (error) {
      if ((error as { readonly retryable?: boolean }).retryable !== true) throw error
      await pause(RETRY_MS)
    }
  }
}
