/** Who of a cluster runs and answers, who leads, and who hears and follows that one. */
import type { ColmenaNode, NodeStatus } from '../index.ts'
import type { Member } from './member.ts'
import type { Partition } from './partition.ts'

/** A node that runs, and what it says of itself. */
export interface Seen {
  readonly id: string
  readonly node: ColmenaNode
  readonly status: NodeStatus
}

/** A leader whom most voters can hear and follow, and those that do, voters or not. */
export interface Led {
  readonly leader: Seen
  readonly followers: readonly Seen[]
}

/** Those that run and answer. */
export async function callRoll(
  members: readonly Member[],
  signal: AbortSignal,
): Promise<readonly Seen[]> {
  const seen = members.map(async ({ id, node }) => {
    const status = await node?.status({ signal }).catch(() => null)
    return node === null || status == null ? [] : [{ id, node, status }]
  })
  return (await Promise.all(seen)).flat()
}

/** Null unless one leads: one that was cut off and does not know it yet is no leader. */
export async function findLeader(
  seen: readonly Seen[],
  partition: Partition,
  signal: AbortSignal,
): Promise<Led | null> {
  for (const leader of seen.filter(({ status }) => status.role === 'leader')) {
    const members = await leader.node.members({ signal }).catch(() => [])
    const voters = members.filter(({ role }) => role === 'voter').map(({ nodeId }) => nodeId)
    const follows = ({ id, status }: Seen): boolean =>
      status.term === leader.status.term &&
      status.leader?.id === leader.id &&
      !partition.isCut(id, leader.id)
    const following = seen.filter(follows)
    const votes = following.filter(({ id }) => voters.includes(id)).length
    if (2 * votes <= voters.length) continue
    return { leader, followers: following.filter(({ id }) => id !== leader.id) }
  }
  return null
}
