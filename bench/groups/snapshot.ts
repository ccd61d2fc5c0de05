import { monotonicMs, pause, until } from '../clock.ts'
import { Cluster } from '../cluster.ts'
import { startWriters, stopWriters, sumUp } from '../write-rounds.ts'
import type { GroupContext } from './group.ts'

const ROW_BYTES = 100_000
const ROWS = 2_000
const WRITERS = 32
const WARM_UP_MS = 2_000
const BEFORE_MS = 4_000
const LOG_RETAIN_BYTES = 1_048_576

/** A member was away until the log that it lacks is gone, and comes back under load. */
export async function measureSnapshotGroup({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3, logRetainBytes: LOG_RETAIN_BYTES })
  const leader = await cluster.findLeader()
  const away = (leader + 1) % 3
  const staying = [cluster.member(leader), cluster.member((leader + 2) % 3)]
  const { appliedIndex } = await cluster.member(away).call('status')
  await cluster.member(away).kill()
  await cluster.member(leader).call('execute', 'CREATE TABLE large (body BLOB)')
  await cluster.member(leader).call('fill', 'INSERT INTO large (body) VALUES (?)', ROWS, ROW_BYTES)
  await startWriters(staying, WRITERS)
  await until('the log that the absent member needs is gone', async () => {
    const { compactedIndex } = await cluster.member(leader).call('status')
    return compactedIndex > appliedIndex
  })
  await pause(WARM_UP_MS)
  const beforeMs = monotonicMs()
  await pause(BEFORE_MS)
  const startedMs = monotonicMs()
  await cluster.startMember(away)
  // A process that starts takes one of two cores for itself: that is no part of the copying.
  const duringMs = monotonicMs()
  await until('the member has received a snapshot', async () => {
    const { counters } = await cluster.member(away).call('status')
    return counters.snapshotsReceived > 0
  })
  const afterMs = monotonicMs()
  const recordings = await stopWriters(staying)
  const before = sumUp(recordings, beforeMs, startedMs)
  const during = sumUp(recordings, duringMs, afterMs)
  report('snapshot.copy.p99Ratio', during.p99Ms / before.p99Ms)
  await cluster.end()
}
