/** One node in a process of its own, told over IPC what to do. Ends with the test that began it. */
import type { Backup } from '../../src/backup/backup.ts'
import type { ClusterNode } from '../../src/cluster/cluster.ts'
import {
  type ColmenaNode,
  handler,
  type OpenOptions,
  open,
  type ResultSet,
} from '../../src/index.ts'
import { openNode } from '../../src/node/open.ts'
import { breakThread, startFaultyWorker } from './faulty-thread.ts'
import { Flood } from './flood.ts'
import { collectGarbage } from './garbage.ts'
import { handleHere } from './handlers.ts'
import { Held } from './held.ts'
import { JobsHere } from './job-handlers.ts'
import { startNewerWorker } from './newer-build.ts'
import {
  type EventName,
  type Executed,
  type FromProcess,
  type NodeCalls,
  type Opened,
  type ProcessError,
  type Threads,
  type ToProcess,
  toProcessError,
  type WriteWay,
  type Written,
} from './protocol.ts'
import { Writers } from './writers.ts'

type Handlers = {
  readonly [Name in keyof NodeCalls]: (
    ...args: Parameters<NodeCalls[Name]>
  ) => ReturnType<NodeCalls[Name]> | Promise<ReturnType<NodeCalls[Name]>>
}

const EVENTS: readonly EventName[] = ['leader', 'warning', 'closed', 'divergence']

/** The token of no lock. */
const NEVER_GIVEN = { token: 1_000_000 }
const NOTHING: Written = { rowsAffected: 0, index: 0 }
const STILL_MS_MAX = 30_000

let opened: ColmenaNode | null = null
/** What `opened` is of, where it forms its cluster itself. */
let formed: ClusterNode | null = null
let writers: Writers | null = null
let flood: Flood | null = null
let jobsHere: JobsHere | null = null
let backup: Backup | null = null
const held = new Held()

const handlers: Handlers = {
  open: async (options, threads) => take(await openWith(options, threads)),
  form: async (formation) => {
    const { startFormation } = await import('../hosts/formation.ts')
    formed = await startFormation(formation)
    return take(formed.node)
  },
  healthy: () => clusterNode().healthy(),
  execute: async (sql, args, options) => {
    return toExecuted(
      await node()
        .database()
        .execute(sql, args as never, options),
    )
  },
  lock: async (key, options) => held.keepLock(await node().lock(key, options)),
  release: (token) => held.release(token),
  begin: async (mode) => held.keepTransaction(await node().database().transaction(mode)),
  executeIn: async (transaction, sql, args) => {
    return toExecuted(await held.transaction(transaction).execute(sql, args as never))
  },
  end: (transaction, how) => held.end(transaction, how),
  once: ({ key, callers, isEndless = false, ...options }) => {
    const work = async (): Promise<unknown> => {
      const run = 'INSERT INTO runs (node) VALUES (?) RETURNING id'
      const { rows } = await node().database().execute(run, [node().nodeId])
      if (isEndless) await new Promise(() => {})
      return rows[0]
    }
    return Promise.all(Array.from({ length: callers }, () => node().once(key, options, work)))
  },
  copyTo: async (path) => {
    await node().database().copyTo(path, { consistency: 'none' })
  },
  batch: async (statements) => {
    const results = await node()
      .database()
      .batch(statements as never)
    return results.length
  },
  transaction: (statements) =>
    node()
      .database()
      .transaction(async (tx) => {
        for (const sql of statements) await tx.execute(sql)
      }),
  write: writeIn,
  status: () => node().status(),
  leader: () => ({ isLeader: node().isLeader, leader: node().leader }),
  transferLeadership: (nodeId) => node().transferLeadership(nodeId),
  dropDatabase: (name) => node().dropDatabase(name),
  appendedBytes: async () => (await node().metrics()).log.appendedBytes,
  members: () => node().members(),
  changeMember: (change, nodeId) =>
    change === 'remove' ? node().removeMember(nodeId) : node()[change](nodeId),
  makeKept: async (sql) => {
    await node().database('main', { changes: true }).execute(sql)
  },
  startChanges: (table, from) => void readChanges(table, from),
  standStill,
  startWriters: (options) => (writers as Writers).start(options),
  stopWriters: () => (writers as Writers).stop(),
  startFlood: (options) => {
    flood = new Flood(node(), options)
  },
  stopFlood: () => (flood as Flood).stop(),
  block: (durationMs) => {
    for (const until = performance.now() + durationMs; performance.now() < until; );
  },
  serve: async (options) => {
    // Only here: few processes serve, and it would hold up the start of all.
    const { createServer } = await import('../../src/server/server.ts')
    return (await createServer(node(), { port: 0, ...options })).port
  },
  heldBytes: async () => {
    await collectGarbage()
    return process.memoryUsage.rss()
  },
  peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
  breakThread,
  migrate: (migrations) => node().migrate(migrations),
  handle: (key) => handleHere(node(), key),
  forward: (key, request, options) =>
    node().forward(handler<unknown, unknown>(key), request, options),
  startJobs: (options) => {
    jobsHere = new JobsHere(node(), options)
    jobsHere.handleAll()
  },
  jobs: (name, ...args) => {
    const called = jobs().jobs[name] as (...args: readonly unknown[]) => unknown
    return called.apply(jobs().jobs, args)
  },
  enqueue: (type, args, options) => jobs().enqueue(type, args, options),
  enqueueChunk: (chunk) => jobs().enqueueChunk(chunk),
  enqueueIn: (transaction, type, tag) => jobs().enqueueIn(held.transaction(transaction), type, tag),
  enqueueBeside: (id, type) => jobs().enqueueBeside(id, type),
  enqueueUnique: (options) => jobs().enqueueUnique(options),
  startBackup: async (directory, options) => {
    // Only here, as with the server.
    const { directoryTarget, startBackup } = await import('../../src/backup/backup.ts')
    backup = startBackup(node(), { targets: directoryTarget(directory), ...options })
  },
  syncBackup: () => (backup as Backup).sync(),
  backupStatus: () => (backup as Backup).status(),
  verify: () => node().verify(),
  compact: () => node().compact(),
  reinstall: () => node().reinstall(),
  skip: (index, without) => node().skip(index, { without }),
  close: async () => {
    await jobsHere?.jobs.close()
    await backup?.close()
    await (formed ?? node()).close()
  },
  exit: () => process.exit(),
}

process.on('message', (message: ToProcess) => void answer(message))
// Whoever started this process is gone: nobody would ever end it.
process.on('disconnect', () => process.exit())

function take(node: ColmenaNode): Opened {
  opened = node
  for (const name of EVENTS) {
    node.on(name, (event: unknown) => {
      const plain = JSON.parse(JSON.stringify(event, describeErrors))
      tell({ kind: 'event', event: { name, event: plain } })
    })
  }
  writers = new Writers(node, (fates) => tell({ kind: 'fates', fates }))
  return { address: node.address, nodeId: node.nodeId }
}

async function readChanges(table: string, from: number): Promise<void> {
  const nothing = { index: 0, isLast: false, before: null, after: null, error: undefined }
  try {
    for await (const { kind, ...change } of node()
      .database()
      .changes({ tables: [table], from })) {
      const { index, isLast } = change
      const rows = 'table' in change ? { before: change.before, after: change.after } : {}
      tell({ kind: 'change', change: { ...nothing, index, isLast, kind, ...rows } })
    }
  } catch (error) {
    const ended = { ...nothing, kind: 'schema', error: toProcessError(error) } as const
    tell({ kind: 'change', change: ended })
  }
}

async function writeIn(
  way: WriteWay,
  statements: Parameters<NodeCalls['write']>[1],
): Promise<Written> {
  const db = node().database()
  if (way === 'batch') return sumOf(await db.batch(statements as never))
  if (way === 'execute' || way === 'fencedOff') {
    const [sql, args] = statements[0] as (typeof statements)[number]
    const fence = way === 'execute' ? undefined : NEVER_GIVEN
    try {
      return sumOf([await db.execute(sql, args as never, { fence })])
    } catch (error) {
      if (way === 'fencedOff' && (error as ProcessError).code === 'ERR_FENCED') return NOTHING
      throw error
    }
  }
  const tx = await db.transaction('write')
  try {
    const written = sumOf(await tx.batch(statements as never))
    if (way === 'rollback') return NOTHING
    await tx.commit()
    return { ...written, index: tx.index ?? 0 }
  } finally {
    tx.close()
  }
}

function toExecuted({ rows, rowsAffected, index, consistency }: ResultSet): Executed {
  return { rows: rows as unknown as Executed['rows'], rowsAffected, index, consistency }
}

function sumOf(results: readonly Written[]): Written {
  const rowsAffected = results.reduce((sum, result) => sum + result.rowsAffected, 0)
  return { rowsAffected, index: results[0]?.index ?? 0 }
}

function standStill(table: string, count: number): Promise<number> {
  const still = Promise.withResolvers<number>()
  const rows = node().database().reader.prepare<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)
  node().once('applied', () => {
    let seen = 0
    for (const untilMs = performance.now() + STILL_MS_MAX; performance.now() < untilMs; ) {
      seen = rows.get()?.n ?? 0
      if (seen >= count) break
    }
    still.resolve(seen)
  })
  return still.promise
}

function openWith(options: OpenOptions, threads: Threads | undefined): Promise<ColmenaNode> {
  if (threads === undefined) return open(options)
  return openNode(options, threads === 'faulty' ? startFaultyWorker : startNewerWorker)
}

async function answer({ id, method, args }: ToProcess): Promise<void> {
  try {
    const handler = handlers[method] as (...args: readonly unknown[]) => unknown
    tell({ kind: 'answer', id, value: await handler(...args) })
  } catch (error) {
    tell({ kind: 'failure', id, error: toProcessError(error) })
  }
}

function tell(message: FromProcess): void {
  process.send?.(message)
}

function node(): ColmenaNode {
  if (opened === null) throw new Error('open first')
  return opened
}

function clusterNode(): ClusterNode {
  if (formed === null) throw new Error('form first')
  return formed
}

function jobs(): JobsHere {
  if (jobsHere === null) throw new Error('start jobs first')
  return jobsHere
}

function describeErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? toProcessError(value) : value
}
