import { setTimeout as pause } from 'node:timers/promises'
import type { MemberStatus, NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { CliError } from './failure.ts'
import { renderMembers } from './status.ts'

const LOOK_MS = 100
const ELECTED_MS = 10_000

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
  await client.request('POST', 'leadership', nodeId === undefined ? {} : { nodeId })
  const deadlineMs = performance.now() + ELECTED_MS
  for (;;) {
    // Just after the old leader stood down nobody may be known to lead.
    const { leader } = await client.get<NodeStatus>('status')
    if (leader !== null) {
      process.stdout.write(`${leader.id} leads now\n`)
      return
    }
    if (performance.now() > deadlineMs) {
      throw new CliError('it was handed over, but no leader is known yet: see colmena status')
    }
    await pause(LOOK_MS)
  }
}
