/** Every row of the table: its stable id, what it says, and the figure it is held to. */

export const GROUPS = [
  'write',
  'transaction',
  'read',
  'failover',
  'restart',
  'memory',
  'snapshot',
  'backup',
  'jobs',
  'testing',
] as const
export type Group = (typeof GROUPS)[number]

export type Values = ReadonlyMap<string, number>
type Unit = '/s' | 'ms' | 'MB' | 'MB/s' | 'x'
type Bound = number | ((values: Values) => number | undefined)

export interface Row {
  /** Stable: scripts compare runs by it. Its first word is the group. */
  readonly id: string
  readonly unit: Unit
  readonly title: string
  /** The raw row of the same work; the table shows this row's ratio to it. */
  readonly raw?: string
  /** The target, where there is one. */
  readonly atLeast?: Bound
  readonly atMost?: Bound
  /** Whose it is, where not ours: measured only where it was asked for, and is installed. */
  readonly peer?: string
}

export const WRITER_COUNTS: readonly number[] = [1, 4, 32, 128, 256]

export const RELAXED_WRITE = 'write.cluster.128.relaxed.perSecond'

const RAW_INSERT = 'write.raw.sqlite.perSecond'
const RAW_SYNC = 'write.raw.fsync.p50Ms'
const RAW_BATCHES = 'backup.raw.insert.perSecond'
const RAW_COPY = 'backup.raw.copy.mbPerSecond'
const RAW_JOB_ROW = 'jobs.raw.insert.perSecond'
const RAW_TRANSACTION = 'transaction.raw.p50Ms'
const PLAIN_WRITE = 'transaction.plain.p50Ms'
const RAW_GET = 'read.raw.perSecond'
const WRITE_TARGETS: ReadonlyMap<number, number> = new Map([
  [32, 10_000],
  [128, 20_000],
  [256, 28_000],
])

export const ROWS: readonly Row[] = [
  { id: RAW_INSERT, unit: '/s', title: 'node:sqlite: autocommit inserts, WAL, FULL' },
  { id: 'write.raw.fsync.perSecond', unit: '/s', title: 'a 4 KiB write and fdatasync, in a loop' },
  { id: RAW_SYNC, unit: 'ms', title: 'one of them' },
  ...WRITER_COUNTS.flatMap(clusterRows),
  { id: RELAXED_WRITE, unit: '/s', title: "3 nodes, 128 writers, durability 'relaxed'" },
  ...serialRows(),
  ...WRITER_COUNTS.map(singleRow),
  { id: RAW_TRANSACTION, unit: 'ms', title: 'node:sqlite: 3 statements, COMMIT with FULL' },
  { id: PLAIN_WRITE, unit: 'ms', title: 'a plain write on the leader, in turn with the next' },
  {
    id: 'transaction.leader.p50Ms',
    unit: 'ms',
    title: 'a transaction of 3 statements on the leader',
    raw: RAW_TRANSACTION,
    atMost: (values) => {
      const plain = values.get(PLAIN_WRITE)
      return plain === undefined ? undefined : 1.5 * plain + 0.6
    },
  },
  { id: 'transaction.follower.p50Ms', unit: 'ms', title: 'the same on a follower' },
  { id: RAW_GET, unit: '/s', title: 'node:sqlite: a prepared get by key' },
  { id: 'read.reader.perSecond', unit: '/s', title: 'db.reader: the same get', raw: RAW_GET },
  {
    id: 'read.reader.ratioToRaw',
    unit: 'x',
    title: 'db.reader beside node:sqlite',
    atLeast: 0.9,
  },
  {
    id: 'read.none.perSecond',
    unit: '/s',
    title: "execute at 'none', one at a time",
    raw: RAW_GET,
    atLeast: 150_000,
  },
  {
    id: 'read.lease.leader.perSecond',
    unit: '/s',
    title: "execute at 'lease' on the leader",
    raw: RAW_GET,
  },
  {
    id: 'read.lease.leader.ratioToNone',
    unit: 'x',
    title: "'lease' on the leader beside 'none'",
    atLeast: 0.8,
  },
  {
    id: 'read.lease.follower.perSecond',
    unit: '/s',
    title: "execute at 'lease' on a follower",
    raw: RAW_GET,
  },
  {
    id: 'read.lease.follower.ratioToNone',
    unit: 'x',
    title: "'lease' on a follower beside 'none' there",
    atLeast: 0.8,
  },
  {
    id: 'read.weak.leader.perSecond',
    unit: '/s',
    title: "execute at 'weak' on the leader",
    raw: RAW_GET,
  },
  {
    id: 'read.weak.leader.ratioToNone',
    unit: 'x',
    title: "'weak' on the leader beside 'none'",
    atLeast: 0.9,
  },
  { id: 'read.weak.follower.p50Ms', unit: 'ms', title: "'weak' on a follower", atMost: 0.4 },
  { id: 'read.strong.leader.p50Ms', unit: 'ms', title: "'strong' on the leader", atMost: 0.4 },
  { id: 'read.strong.follower.p50Ms', unit: 'ms', title: "'strong' on a follower" },
  {
    id: 'read.strong.lease.perSecond',
    unit: '/s',
    title: "'strong' by lease on the leader",
    raw: RAW_GET,
  },
  {
    id: 'read.strong.lease.ratioToNone',
    unit: 'x',
    title: "'strong' by lease beside 'none' there",
    atLeast: 0.8,
  },
  { id: 'failover.ms', unit: 'ms', title: 'leader killed to next write, median', atMost: 300 },
  { id: 'failover.p99Ms', unit: 'ms', title: 'the slowest of them', atMost: 2_000 },
  { id: 'restart.1gb.ms', unit: 'ms', title: 'open with 1 GB until a read', atMost: 3_000 },
  { id: 'memory.node.mb', unit: 'MB', title: "an idle member's process", atMost: 130 },
  { id: 'memory.node.256writers.mb', unit: 'MB', title: 'peak under 256 writers', atMost: 300 },
  {
    id: 'snapshot.copy.p99Ratio',
    unit: 'x',
    title: 'write p99 during a snapshot, to before',
    atMost: 2,
  },
  {
    id: 'backup.write.p99Ratio',
    unit: 'x',
    title: 'write p99 with a backup each second, to without',
    atMost: 1.2,
  },
  {
    id: 'backup.recoveryPoint.intervals',
    unit: 'x',
    title: 'the oldest write not in the target, in sync intervals',
    atMost: 2,
  },
  { id: RAW_BATCHES, unit: '/s', title: 'node:sqlite: the inserts below, 1,000 in a commit' },
  {
    id: 'backup.restore.log.perSecond',
    unit: '/s',
    title: 'statements of the log, restored into a node',
    raw: RAW_BATCHES,
    atLeast: 100_000,
  },
  { id: RAW_COPY, unit: 'MB/s', title: 'the file below, copied and synced' },
  {
    id: 'backup.restore.snapshot.mbPerSecond',
    unit: 'MB/s',
    title: 'a snapshot, restored into a node',
    raw: RAW_COPY,
    atLeast: 100,
  },
  { id: RAW_JOB_ROW, unit: '/s', title: 'the row of a job as a plain insert, 32 callers' },
  ...jobRows(null, ''),
  ...jobRows('bullmq', 'BullMQ, Redis that syncs always: '),
  ...jobRows('bullmq1s', 'BullMQ, Redis that syncs each second: '),
  ...jobRows('pgboss', 'pg-boss, PostgreSQL: '),
  {
    id: 'testing.node.firstWriteMs',
    unit: 'ms',
    title: 'createTestNode until its first write is answered',
    atMost: 200,
  },
  { id: 'testing.node.writeMs', unit: 'ms', title: '  of that, once it is open' },
  { id: 'testing.cluster.openMs', unit: 'ms', title: 'createTestCluster of three nodes' },
  { id: 'testing.cluster.failoverMs', unit: 'ms', title: 'isolateLeader, until another one leads' },
]

export function groupOf({ id }: Row): Group {
  return id.slice(0, id.indexOf('.')) as Group
}

/** `>= 10,000` or `<= 0.9`, '' without a target; null while it depends on a missing row. */
export function describeTarget(row: Row, values: Values): string | null {
  const [sign, bound] = row.atLeast === undefined ? ['<=', row.atMost] : ['>=', row.atLeast]
  if (bound === undefined) return ''
  const limit = resolve(bound, values)
  return limit === undefined ? null : `${sign} ${formatFigure(limit)}`
}

/** Whether a value meets its row's target; true where there is none. */
export function meetsTarget(row: Row, value: number, values: Values): boolean {
  const least = row.atLeast === undefined ? undefined : resolve(row.atLeast, values)
  const most = row.atMost === undefined ? undefined : resolve(row.atMost, values)
  return (least === undefined || value >= least) && (most === undefined || value <= most)
}

/** Three digits that count, or more where the figure is large. */
export function formatFigure(value: number): string {
  if (value >= 1_000) return Math.round(value).toLocaleString('en-US')
  if (value >= 100) return value.toFixed(0)
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

function resolve(bound: Bound, values: Values): number | undefined {
  return typeof bound === 'number' ? bound : bound(values)
}

function clusterRows(writers: number): Row[] {
  const id = `write.cluster.${writers}`
  const atLeast = WRITE_TARGETS.get(writers)
  const target = atLeast === undefined ? {} : { atLeast }
  const title = `3 nodes, ${describeWriters(writers)}`
  return [
    { id: `${id}.perSecond`, unit: '/s', title, raw: RAW_INSERT, ...target },
    { id: `${id}.p50Ms`, unit: 'ms', title: '  median', raw: RAW_SYNC },
    { id: `${id}.p99Ms`, unit: 'ms', title: '  p99' },
  ]
}

function singleRow(writers: number): Row {
  const title = `1 node, ${describeWriters(writers)}`
  return { id: `write.single.${writers}.perSecond`, unit: '/s', title, raw: RAW_INSERT }
}

/** The same work of ours, which is held to targets, and of each peer. */
function jobRows(peer: string | null, whose: string): Row[] {
  const id = peer === null ? 'jobs' : `jobs.${peer}`
  const rows: readonly Row[] = [
    { id: `${id}.enqueue.perSecond`, unit: '/s', title: 'jobs made, 32 callers' },
    { id: `${id}.enqueue.batch.perSecond`, unit: '/s', title: 'jobs made, 100 in a call' },
    { id: `${id}.start.p50Ms`, unit: 'ms', title: 'made to started, idle', atMost: 10 },
    { id: `${id}.start.p99Ms`, unit: 'ms', title: '  p99' },
    { id: `${id}.run.perSecond`, unit: '/s', title: 'no-op jobs, 3 x 8 workers', atLeast: 2_000 },
  ]
  return rows.map(({ atMost, atLeast, ...row }) => ({
    ...row,
    title: row.title.startsWith(' ') ? row.title : `${whose}${row.title}`,
    ...(row.unit === '/s' ? { raw: RAW_JOB_ROW } : {}),
    ...(peer === null ? { ...(atMost && { atMost }), ...(atLeast && { atLeast }) } : { peer }),
  }))
}

function serialRows(): Row[] {
  const leader = 'write.serial.leader.p50Ms'
  const besideLeader = (values: Values): number | undefined => {
    const value = values.get(leader)
    return value === undefined ? undefined : value + 0.5
  }
  return [
    { id: leader, unit: 'ms', title: 'one writer, on the leader', raw: RAW_SYNC, atMost: 1.5 },
    { id: 'write.serial.leader.p99Ms', unit: 'ms', title: '  p99' },
    {
      id: 'write.serial.follower.p50Ms',
      unit: 'ms',
      title: 'one writer, on a follower',
      raw: RAW_SYNC,
      atMost: besideLeader,
    },
    { id: 'write.serial.follower.p99Ms', unit: 'ms', title: '  p99' },
  ]
}

function describeWriters(writers: number): string {
  return writers === 1 ? '1 writer' : `${writers} writers`
}
