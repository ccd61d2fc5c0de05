import type { BackupStatus } from '../backup/backup.ts'
import type { MemberStatus, NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { sentenceOf } from './failure.ts'
import { untilUnread } from './output.ts'
import { untilSignal } from './signals.ts'
import { escapeControls, renderTable } from './table.ts'

const WATCH_MS = 1_000
const CLEAR = '\u001b[2J\u001b[H'

/** Prints how the asked node is, and the members as it knows them. */
export async function runStatus(
  client: ApiClient,
  options: { readonly watch?: boolean; readonly json?: boolean },
): Promise<void> {
  if (options.watch !== true) {
    process.stdout.write(`${await read(client, options.json === true)}\n`)
    return
  }
  let isOver = false
  const ended = Promise.race([untilSignal(), untilUnread()]).then(() => {
    isOver = true
  })
  while (!isOver) {
    // A node that is gone for a moment is what one watches for.
    const text = await read(client, options.json === true).catch(sentenceOf)
    const clear = process.stdout.isTTY && options.json !== true ? CLEAR : ''
    process.stdout.write(`${clear}${text}\n`)
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, WATCH_MS))])
  }
}

async function read(client: ApiClient, isJson: boolean): Promise<string> {
  const status = await client.get<NodeStatus>('status')
  const members = await client.get<MemberStatus[]>('members')
  const backup = await client.find<BackupStatus>('backup')
  if (isJson) return JSON.stringify({ status, members, backup }, null, 2)
  const lines = [describeNode(status), ...(backup === null ? [] : describeBackup(backup))]
  return `${lines.join('\n')}\n${renderMembers(members, status)}`
}

function describeNode(status: NodeStatus): string {
  const { nodeId, role, isLearner, term, leader, commitIndex, appliedIndex } = status
  const what = isLearner ? 'a learner' : `${role === 'leader' ? 'the' : 'a'} ${role}`
  const lead = leader === null ? 'no leader is known' : `the leader is ${leader.id}`
  const ready = status.ready ? 'ready' : `not ready: ${status.notReadyReason}`
  const databases = status.databases.map(({ name, sizeBytes }) => `${name} ${megabytes(sizeBytes)}`)
  return [
    `${nodeId} is ${what} in term ${term}; ${lead}; ${ready}`,
    `commit index ${commitIndex}, applied ${appliedIndex}; log ${megabytes(status.logBytes)}; ` +
      `databases: ${databases.length === 0 ? 'none yet' : databases.join(', ')}`,
  ].join('\n')
}

function describeBackup({ targets, drill }: BackupStatus): readonly string[] {
  const lines = targets.map(({ label, lastIndex, lagMs, failuresInRow, error }) => {
    const last = lastIndex === null ? 'not known yet' : `up to entry ${lastIndex}`
    const lag = lagMs === null ? '' : `, ${(lagMs / 1_000).toFixed(1)} s behind`
    const fails = error === null ? '' : `; FAILS (${failuresInRow} in a row): ${error.message}`
    return escapeControls(`backup in ${label}: ${last}${lag}${fails}`)
  })
  const { error } = drill
  if (error !== null) lines.push(escapeControls(`restoring for a try FAILED: ${error.message}`))
  return lines
}

/** Only the leader knows how far each of them is. */
export function renderMembers(members: readonly MemberStatus[], status: NodeStatus): string {
  const head = ['node', 'role', 'address', 'behind', 'last heard']
  const rows = members.map((member) => [
    member.nodeId,
    roleOf(member),
    member.address === '' ? 'no network' : member.address,
    member.match === null ? 'ask the leader' : String(Math.max(0, status.lastIndex - member.match)),
    member.lastContactMs === null ? 'never' : `${(member.lastContactMs / 1000).toFixed(1)} s ago`,
  ])
  return renderTable(head, rows)
}

function roleOf({ isLeader, role, wantedRole }: MemberStatus): string {
  if (isLeader) return 'leader'
  return role === wantedRole ? role : `${role}, is to be a ${wantedRole}`
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
