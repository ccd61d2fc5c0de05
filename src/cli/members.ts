import type { MemberStatus, NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { renderMembers } from './status.ts'

export async function runMembers(
  client: ApiClient,
  options: { readonly json?: boolean },
): Promise<void> {
  const members = await client.get<MemberStatus[]>('members')
  const output =
    options.json === true
      ? JSON.stringify(members, null, 2)
      : renderMembers(members, await client.get<NodeStatus>('status'))
  process.stdout.write(`${output}\n`)
}

export async function runMemberChange(
  client: ApiClient,
  change: 'promote' | 'demote' | 'remove',
  nodeId: string,
): Promise<void> {
  const path = `members/${encodeURIComponent(nodeId)}`
  if (change === 'remove') await client.request('DELETE', path)
  else await client.request('POST', `${path}/${change}`)
  const done = {
    promote: `${nodeId} is to vote: it does once it has caught up and the number stays odd`,
    demote: `${nodeId} is a learner now`,
    remove: `${nodeId} was removed`,
  }
  process.stdout.write(`${done[change]}\n`)
}

export async function runTransfer(client: ApiClient, nodeId: string | undefined): Promise<void> {
  const response = await client.request(
    'POST',
    'leadership',
    nodeId === undefined ? {} : { nodeId },
  )
  const { leader } = (await response.json()) as { readonly leader: { readonly id: string } | null }
  process.stdout.write(`${leader === null ? 'the others elect' : `${leader.id} leads`} now\n`)
}
