/** Who belongs to the cluster and how far each is; and who led it before. */
import type { JSX } from 'preact'
import type { MemberStatus, NodeStatus } from '../../src/index.ts'
import { formatCount, formatMs, formatSpan } from '../shared/format.ts'
import { RoleMark } from '../shared/marks.tsx'
import { type Column, Table } from '../shared/table.tsx'
import { When } from '../shared/when.tsx'

/** Members tell each other of themselves each second: who is silent for so long is away. */
const silenceMsMax = 5_000

interface MembersProps {
  readonly status: NodeStatus
  readonly members: readonly MemberStatus[]
}

export function Members({ status, members }: MembersProps): JSX.Element {
  const lag = (member: MemberStatus): number | null => {
    if (member.nodeId === status.nodeId) return status.lagEntries
    return member.match === null ? null : Math.max(0, status.lastIndex - member.match)
  }
  const heard = (member: MemberStatus): number | null =>
    member.nodeId === status.nodeId ? 0 : member.lastContactMs
  const isGone = (member: MemberStatus): boolean => (heard(member) ?? 0) > silenceMsMax
  // The order in which a node heard of them says nothing to anybody.
  const byName = members.toSorted((a, b) => (a.nodeId < b.nodeId ? -1 : 1))
  const columns: readonly Column<MemberStatus>[] = [
    {
      title: 'member',
      value: ({ nodeId }) => nodeId,
      show: ({ nodeId }) => (
        <>
          <strong>{nodeId}</strong>
          {nodeId === status.nodeId && <span class="soft">, this one</span>}
        </>
      ),
    },
    {
      title: 'role',
      value: ({ role, isLeader }) => (isLeader ? 'leader' : role),
      show: (member) => {
        const [role, note] = isGone(member)
          ? (['gone', member.role] as const)
          : [roleOf(member, status), describeWanted(member)]
        return <RoleMark role={role} {...(note === null ? {} : { note })} />
      },
    },
    {
      title: 'behind, entries',
      isNumber: true,
      value: lag,
      show: (member) => {
        const entries = lag(member)
        if (entries === null) return <span class="soft">the leader knows</span>
        return entries === 0 ? 'level' : `−${formatCount(entries)}`
      },
    },
    {
      title: 'last heard',
      isNumber: true,
      value: heard,
      show: (member) => {
        const ms = heard(member)
        if (member.nodeId === status.nodeId) return 'now'
        return ms === null ? <span class="soft">not from here</span> : `${formatMs(ms)} ago`
      },
    },
    {
      title: 'address',
      value: ({ address }) => address,
      show: ({ address }) => <code>{address}</code>,
    },
  ]
  return (
    <section aria-labelledby="members-title">
      <h2 id="members-title">Members</h2>
      <Table label="Members" rows={byName} columns={columns} empty="No member is known yet." />
    </section>
  )
}

function roleOf(
  member: MemberStatus,
  status: NodeStatus,
): 'leader' | 'follower' | 'candidate' | 'learner' {
  if (member.isLeader) return 'leader'
  if (member.role === 'learner') return 'learner'
  const isCandidate = member.nodeId === status.nodeId && /candidate/.test(status.role)
  return isCandidate ? 'candidate' : 'follower'
}

function describeWanted({ role, wantedRole }: MemberStatus): string | null {
  return role === 'learner' && wantedRole === 'voter' ? 'to become a voter' : null
}

type Term = NodeStatus['terms'][number]

export function Terms({ terms, now }: { terms: readonly Term[]; now: number }): JSX.Element {
  const rows = terms
    .map((term, at) => ({ ...term, until: terms[at + 1]?.sinceMs ?? now }))
    .toReversed()
  const columns: readonly Column<Term & { readonly until: number }>[] = [
    { title: 'term', isNumber: true, value: ({ term }) => term },
    {
      title: 'leader',
      value: ({ leaderId }) => leaderId,
      show: ({ leaderId }) => leaderId ?? <span class="soft">none known here</span>,
    },
    {
      title: 'since',
      value: ({ sinceMs }) => sinceMs,
      show: ({ sinceMs }) => <When at={sinceMs} now={now} />,
    },
    {
      title: 'lasted',
      isNumber: true,
      value: ({ sinceMs, until }) => until - sinceMs,
      show: ({ sinceMs, until }) => (until === now ? 'still' : formatLength(until - sinceMs)),
    },
  ]
  return (
    <section aria-labelledby="terms-title">
      <h2 id="terms-title">Leaders and terms</h2>
      <Table label="Leaders and terms" rows={rows} columns={columns} empty="No term yet." />
    </section>
  )
}

function formatLength(durationMs: number): string {
  return durationMs < 60_000 ? formatMs(durationMs) : formatSpan(durationMs)
}
