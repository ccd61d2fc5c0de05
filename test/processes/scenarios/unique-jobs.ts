import assert from 'node:assert/strict'
import { JobTables, judgeHistory, type Turn } from '../job-judge.ts'
import type { Asked } from '../protocol.ts'
import { startJobsCluster, untilIdle } from './jobs.ts'

export interface UniqueJobsForm {
  readonly enqueues: number
  readonly keys: number
}

const NODES = [0, 1, 2]
const CALLERS_PER_NODE = 4

/**
 * Three nodes enqueue jobs of a few unique keys at once, while workers run them. No two of a key
 * may be there unfinished at any entry of the log, and who is told of another's job is told of one
 * that was not over when it asked.
 */
export async function runUniqueJobs({ enqueues, keys }: UniqueJobsForm): Promise<string> {
  const cluster = await startJobsCluster()
  try {
    const startedMs = performance.now()
    const calls = NODES.map((at) => {
      const count = Math.floor((enqueues + at) / NODES.length)
      return cluster.node(at).call('enqueueUnique', { count, keys, callers: CALLERS_PER_NODE })
    })
    const asked = (await Promise.all(calls)).flat()
    const seconds = (performance.now() - startedMs) / 1000
    assert.equal(asked.length, enqueues)
    await untilIdle(cluster)
    await cluster.untilEqual()
    await cluster.stop()
    const made = judge(cluster.dataDir(0), asked)
    return (
      `${enqueues} enqueues of ${keys} unique keys from three nodes in ${seconds.toFixed(1)} s: ` +
      `${made} made a job, and ${enqueues - made} were told of one that was not over; never two ` +
      'of one key at once'
    )
  } finally {
    await cluster.end()
  }
}

/** @returns how many jobs were made */
function judge(dataDir: string, asked: readonly Asked[]): number {
  const tables = new JobTables(dataDir)
  try {
    const history = tables.history()
    const { made, succeeded } = judgeHistory(history)
    const lives = livesOf(history)
    const makers = asked.filter(({ created }) => created)
    assert.deepEqual(
      [succeeded, makers.length, new Set(makers.map(({ id }) => id)).size],
      [made, made, made],
      'who made a job was told so, and nobody else',
    )
    for (const { id, key, created, from, to } of asked) {
      const life = lives.get(id)
      assert.ok(life !== undefined, `job ${id}, of which somebody was told, was never there`)
      assert.equal(life.key, key, `job ${id} is one of the key that was asked for`)
      const where = `job ${id} lived from ${life.from} to ${life.to}, asked from ${from} to ${to}`
      assert.ok(life.from <= to && life.to > from, where)
      if (created) assert.ok(life.from > from, `${where}: it was made for who asked`)
    }
    return made
  } finally {
    tables.close()
  }
}

interface Life {
  readonly key: string | null
  readonly from: number
  /** Where it was over. */
  to: number
}

function livesOf(history: readonly Turn[]): ReadonlyMap<string, Life> {
  const lives = new Map<string, Life>()
  for (const { seq, job, key, state } of history) {
    const life = lives.get(job) ?? { key, from: seq, to: Number.POSITIVE_INFINITY }
    lives.set(job, life)
    if (state === 'succeeded') life.to = seq
  }
  return lives
}
