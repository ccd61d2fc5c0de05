/** One node in a process of its own, told over IPC what to do. Ends with the test that began it. */
import { type ColmenaNode, handler, type OpenOptions, open } from '../../src/index.ts'
import { openNode } from '../../src/node/open.ts'
import { breakThread, startFaultyWorker } from './faulty-thread.ts'
import { Flood } from './flood.ts'
import { handleHere } from './handlers.ts'
import { startNewerWorker } from './newer-build.ts'
import {
  type EventName,
  type Executed,
  type FromProcess,
  type NodeCalls,
  type Threads,
  type ToProcess,
  toProcessError,
} from './protocol.ts'
import { Writers } from './writers.ts'

type Handlers = {
  readonly [Name in keyof NodeCalls]: (
    ...args: Parameters<NodeCalls[Name]>
  ) => ReturnType<NodeCalls[Name]> | Promise<ReturnType<NodeCalls[Name]>>
}

const EVENTS: readonly EventName[] = ['leader', 'warning', 'closed']

let opened: ColmenaNode | null = null
let writers: Writers | null = null
let flood: Flood | null = null

const handlers: Handlers = {
  open: async (options, threads) => {
    opened = await openWith(options, threads)
    for (const name of EVENTS) {
      opened.on(name, (event: unknown) => {
        const plain = JSON.parse(JSON.stringify(event, describeErrors))
        tell({ kind: 'event', event: { name, event: plain } })
      })
    }
    writers = new Writers(opened, (fates) => tell({ kind: 'fates', fates }))
    return { address: opened.address, nodeId: opened.nodeId }
  },
  execute: async (sql, args, options) => {
    const { rows, rowsAffected, index, consistency } = await node()
      .database()
      .execute(sql, args as never, options)
    return { rows: rows as unknown as Executed['rows'], rowsAffected, index, consistency }
  },
  lock: async (key, options) => (await node().lock(key, options)).token,
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
  status: () => node().status(),
  leader: () => ({ isLeader: node().isLeader, leader: node().leader }),
  transferLeadership: (nodeId) => node().transferLeadership(nodeId),
  dropDatabase: (name) => node().dropDatabase(name),
  appendedBytes: async () => (await node().metrics()).log.appendedBytes,
  members: () => node().members(),
  changeMember: (change, nodeId) =>
    change === 'remove' ? node().removeMember(nodeId) : node()[change](nodeId),
  startWriters: (options) => (writers as Writers).start(options),
  stopWriters: () => (writers as Writers).stop(),
  startFlood: (options) => {
    flood = new Flood(node(), options)
  },
  stopFlood: () => (flood as Flood).stop(),
  block: (durationMs) => {
    for (const until = performance.now() + durationMs; performance.now() < until; );
  },
  peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
  breakThread,
  migrate: (migrations) => node().migrate(migrations),
  handle: (key) => handleHere(node(), key),
  forward: (key, request, options) =>
    node().forward(handler<unknown, unknown>(key), request, options),
  close: () => node().close(),
  exit: () => process.exit(),
}

process.on('message', (message: ToProcess) => void answer(message))
// Whoever started this process is gone: nobody would ever end it.
process.on('disconnect', () => process.exit())

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

function describeErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? toProcessError(value) : value
}
