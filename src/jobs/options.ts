import type { ColmenaNode } from '../index.ts'
import { checkKeys, checkText, checkWhole, invalid, show } from './invalid.ts'

export interface JobsOptions {
  /** How many handlers run at a time on this node; 0 runs none. @defaultValue 4 */
  readonly workers?: number | undefined
  /** Where jobs are kept: best with the rows that they belong to. @defaultValue 'main' */
  readonly database?: string | undefined
  /** So long after a worker was last heard of, others may run what it held. @defaultValue 30000 */
  readonly leaseMs?: number | undefined
  /** How often it is looked for work where nothing wakes it: a safety net. @defaultValue 1000 */
  readonly pollMs?: number | undefined
  /** How long `close` lets handlers end before it tells them to. @defaultValue 10000 */
  readonly drainMs?: number | undefined
  /**
   * How long a handler may go on that was told to end: then its job is free for others, and what it
   * still does is fenced off. @defaultValue 5000
   */
  readonly graceMs?: number | undefined
  readonly retention?: Retention | undefined
}

/** What is kept of jobs that are finished. */
export interface Retention {
  /** Negative: for ever. @defaultValue 86400000 */
  readonly keepMs?: number | undefined
  /** At most so many; the oldest go first. @defaultValue 100000 */
  readonly keepCount?: number | undefined
  /** How often what is beyond is removed. @defaultValue 600000 */
  readonly everyMs?: number | undefined
}

export interface JobsConfig {
  readonly workers: number
  readonly database: string
  readonly leaseMs: number
  readonly pollMs: number
  readonly drainMs: number
  readonly graceMs: number
  readonly retention: Required<{ readonly [Name in keyof Retention]: number }>
}

const DAY_MS = 86_400_000

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toJobsConfig(node: ColmenaNode, options: JobsOptions): JobsConfig {
  if (typeof node !== 'object' || node === null || typeof node.database !== 'function') {
    throw invalid(`createJobs takes the node that open gave, not ${show(node)}`)
  }
  const keys = ['workers', 'database', 'leaseMs', 'pollMs', 'drainMs', 'graceMs', 'retention']
  checkKeys(options, keys, 'createJobs')
  const { retention = {} } = options
  checkKeys(retention, ['keepMs', 'keepCount', 'everyMs'], 'retention')
  return {
    workers: checkWhole('workers', options.workers ?? 4, 0, 1_000),
    database: checkText('database', options.database ?? 'main', 64),
    leaseMs: checkWhole('leaseMs', options.leaseMs ?? 30_000, 1_000, DAY_MS),
    pollMs: checkWhole('pollMs', options.pollMs ?? 1_000, 10, 60_000),
    drainMs: checkWhole('drainMs', options.drainMs ?? 10_000, 0, DAY_MS),
    graceMs: checkWhole('graceMs', options.graceMs ?? 5_000, 0, DAY_MS),
    retention: {
      keepMs: checkWhole('keepMs', retention.keepMs ?? DAY_MS, -1, 3_660 * DAY_MS),
      keepCount: checkWhole('keepCount', retention.keepCount ?? 100_000, 0, 100_000_000),
      everyMs: checkWhole('everyMs', retention.everyMs ?? 600_000, 100, DAY_MS),
    },
  }
}
