import { pause } from '../clock.ts'
import { Cluster } from '../cluster.ts'
import { median } from '../figures.ts'
import { measureWrites } from '../write-rounds.ts'
import type { GroupContext } from './group.ts'

const IDLE_MS = 5_000
const LOAD = { writers: 256, warmUpMs: 1_000, rounds: 1, roundMs: 8_000 }
const BYTES_PER_MB = 1e6

/** The whole process of a member, with the little that the bench runs in it. */
export async function measureMemoryGroup({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const members = await cluster.listFromLeader()
  await pause(IDLE_MS)
  const idle = await Promise.all(members.map((member) => member.call('rssBytes')))
  report('memory.node.mb', median(idle) / BYTES_PER_MB)
  await measureWrites(members, LOAD)
  const peaks = await Promise.all(members.map((member) => member.call('peakRssBytes')))
  report('memory.node.256writers.mb', Math.max(...peaks) / BYTES_PER_MB)
  await cluster.end()
}
