import { Cluster } from '../cluster.ts'
import { median } from '../figures.ts'
import type { GroupContext } from './group.ts'

const ROUNDS = 400
const WARM_UP_ROUNDS = 100

export async function measureTransactionGroup({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const [leader, follower] = await cluster.listFromLeader()
  if (leader === undefined || follower === undefined) throw new Error('two members are needed')
  const folder = stage.createFolder()
  await leader.call('transact', folder, WARM_UP_ROUNDS)
  const onLeader = await leader.call('transact', folder, ROUNDS)
  report('transaction.raw.p50Ms', median(onLeader.rawMs))
  report('transaction.plain.p50Ms', median(onLeader.plainMs))
  report('transaction.leader.p50Ms', median(onLeader.transactionMs))
  await follower.call('transact', null, WARM_UP_ROUNDS)
  const onFollower = await follower.call('transact', null, ROUNDS)
  report('transaction.follower.p50Ms', median(onFollower.transactionMs))
  await cluster.end()
}
