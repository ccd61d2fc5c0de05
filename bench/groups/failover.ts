import { monotonicMs, pause, until } from '../clock.ts'
import { Cluster } from '../cluster.ts'
import { median, percentile } from '../figures.ts'
import type { GroupContext } from './group.ts'

const ROUNDS = 20
/** The leader has sent some heartbeats since all were level, and not always as many. */
const CALM_MS = 300
const CALM_SPREAD_MS = 150

export async function measureFailoverGroup({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const timesMs: number[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    const leader = await cluster.findLeader()
    timesMs.push(await killLeader(cluster, leader, 1 + (round % 2)))
    await cluster.startMember(leader)
    await untilWhole(cluster)
  }
  report('failover.ms', median(timesMs))
  report('failover.p99Ms', percentile(timesMs, 99))
  await cluster.end()
}

/** Writes through one of those who stay, in turns: it may become the leader or not. */
async function killLeader(cluster: Cluster, leader: number, ahead: number): Promise<number> {
  const survivor = cluster.member((leader + ahead) % 3)
  await survivor.call('writeUntilDone')
  await pause(CALM_MS + Math.random() * CALM_SPREAD_MS)
  const member = cluster.member(leader)
  const killedMs = monotonicMs()
  member.end()
  const doneMs = await survivor.call('writeUntilDone')
  await member.kill()
  return doneMs - killedMs
}

async function untilWhole(cluster: Cluster): Promise<void> {
  await cluster.untilLevel()
  await until('all nodes know the leader', async () => {
    const answers = await Promise.all(cluster.members.map((member) => member.call('knowsLeader')))
    return answers.every((knows) => knows)
  })
}
