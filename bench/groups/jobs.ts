import { pause } from '../clock.ts'
import { Cluster } from '../cluster.ts'
import { median, percentile } from '../figures.ts'
import type { MemberHandle } from '../member-handle.ts'
import type { Recording, Written } from '../protocol.ts'
import { measureWrites } from '../write-rounds.ts'
import type { GroupContext } from './group.ts'

const CALLERS = 32
const BATCH = 100
const TURNS = 4
const ENQUEUES = { warmUpMs: 300, rounds: 1, roundMs: 1_000 }
/** Made on each node in turn. */
const APART = 50
const SETTLE_MS = 500
const RUNS = 3
const RUN_JOBS = 10_000
const RUN_TIMEOUT_MS = 60_000
const POLL_MS = 50

/** Nodes without anything to do, then with all they can: the same work as the peers get. */
export async function measureJobsGroup({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const members = await cluster.listFromLeader()
  for (const member of members) await member.call('openQueue', { kind: 'colmena' })
  await measureEnqueues(members, 'jobs', report, true)
  await measureQueue(members, 'jobs', report)
  await cluster.end()
}

/** In turns, so that a slow spell of the machine meets all of them; the first turn warms up. */
export async function measureEnqueues(
  members: readonly MemberHandle[],
  prefix: string,
  report: GroupContext['report'],
  hasRows: boolean,
): Promise<void> {
  await members[0]?.call('prepareType', 'made')
  const rates: Record<'job row' | 'job' | 'jobs', number[]> = { 'job row': [], job: [], jobs: [] }
  for (let turn = 0; turn <= TURNS; turn += 1) {
    for (const what of ['job row', 'job', 'jobs'] as const) {
      if (what === 'job row' && !hasRows) continue
      const rate = await rateOf(members, what)
      if (turn > 0) rates[what].push(rate)
    }
  }
  if (hasRows) report(`${prefix}.raw.insert.perSecond`, median(rates['job row']))
  report(`${prefix}.enqueue.perSecond`, median(rates.job))
  report(`${prefix}.enqueue.batch.perSecond`, median(rates.jobs))
}

async function rateOf(members: readonly MemberHandle[], what: Written): Promise<number> {
  const isBatch = what === 'jobs'
  const writers = isBatch ? members.length : CALLERS
  const [round] = await measureWrites(members, { ...ENQUEUES, writers, what })
  return (round?.perSecond ?? Number.NaN) * (isBatch ? BATCH : 1)
}

export async function measureQueue(
  members: readonly MemberHandle[],
  prefix: string,
  report: GroupContext['report'],
): Promise<void> {
  const latenciesMs = await measureStarts(members)
  report(`${prefix}.start.p50Ms`, percentile(latenciesMs, 50))
  report(`${prefix}.start.p99Ms`, percentile(latenciesMs, 99))
  const rates: number[] = []
  for (let run = 1; run <= RUNS; run += 1) rates.push(await measureRun(members, `run-${run}`))
  report(`${prefix}.run.perSecond`, median(rates))
}

/** From when a job is made, on each node in turn, until its handler starts on whichever. */
async function measureStarts(members: readonly MemberHandle[]): Promise<number[]> {
  await startAll(members, 'apart')
  for (const member of members) await member.call('enqueueApart', 'apart', 5)
  await untilStarted(members, 5 * members.length)
  await takeStarts(members)
  for (const member of members) {
    await pause(SETTLE_MS)
    await member.call('enqueueApart', 'apart', APART)
  }
  await untilStarted(members, APART * members.length)
  const starts = await takeStarts(members)
  await Promise.all(members.map((member) => member.call('stopWork')))
  return starts.flatMap(({ latenciesMs }) => [...latenciesMs])
}

/** Of many that wait, what starts in a second, without the first tenth of them and the last. */
async function measureRun(members: readonly MemberHandle[], type: string): Promise<number> {
  await members[0]?.call('prepareType', type)
  await members[0]?.call('enqueueMany', type, RUN_JOBS)
  await pause(SETTLE_MS)
  await Promise.all(members.map((member) => member.call('startWork', type)))
  await untilStarted(members, RUN_JOBS)
  const starts = await takeStarts(members)
  await Promise.all(members.map((member) => member.call('stopWork')))
  const startsMs = starts.flatMap(({ endsMs }) => [...endsMs])
  const tookMs = percentile(startsMs, 90) - percentile(startsMs, 10)
  return (0.8 * startsMs.length * 1_000) / tookMs
}

async function startAll(members: readonly MemberHandle[], type: string): Promise<void> {
  await members[0]?.call('prepareType', type)
  await Promise.all(members.map((member) => member.call('startWork', type)))
  await pause(SETTLE_MS)
}

function takeStarts(members: readonly MemberHandle[]): Promise<Recording[]> {
  return Promise.all(members.map((member) => member.call('takeStarts')))
}

/** @throws Error where one started twice, or not at all. */
async function untilStarted(members: readonly MemberHandle[], count: number): Promise<void> {
  const deadlineMs = performance.now() + RUN_TIMEOUT_MS
  for (;;) {
    const counts = await Promise.all(members.map((member) => member.call('startedCount')))
    const started = counts.reduce((sum, own) => sum + own, 0)
    if (started === count) return
    if (started > count) throw new Error(`${started} of ${count} jobs were started`)
    if (performance.now() > deadlineMs) throw new Error(`only ${started} of ${count} jobs started`)
    await pause(POLL_MS)
  }
}
