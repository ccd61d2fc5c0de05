/** What this node holds: its log, snapshots and databases, and the statements that were slow. */
import type { JSX } from 'preact'
import type { NodeStatus } from '../../src/index.ts'
import { formatBytes, formatCount, formatMs } from '../shared/format.ts'
import { type Column, Table } from '../shared/table.tsx'
import { When } from '../shared/when.tsx'
import type { ClusterView, SlowStatement } from './store.ts'

export function LogState({ status }: { status: NodeStatus }): JSX.Element {
  const { counters } = status
  const facts: readonly (readonly [string, string])[] = [
    ['last entry', formatCount(status.lastIndex)],
    ['committed', formatCount(status.commitIndex)],
    ['applied here', formatCount(status.appliedIndex)],
    ['in the databases alone, up to', formatCount(status.compactedIndex)],
    ['log on disk', formatBytes(status.logBytes)],
    ['snapshots sent', formatCount(counters.snapshotsSent)],
    ['snapshots received', formatCount(counters.snapshotsReceived)],
    ['elections seen', formatCount(counters.elections)],
    ['writes from here', formatCount(counters.writes)],
    ['reads here', formatCount(counters.reads)],
  ]
  return (
    <section aria-labelledby="log-title">
      <h2 id="log-title">Log and snapshots</h2>
      <dl class="state">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

type Database = NodeStatus['databases'][number]

export function Databases({ databases }: { databases: readonly Database[] }): JSX.Element {
  const columns: readonly Column<Database>[] = [
    { title: 'database', value: ({ name }) => name, show: ({ name }) => <strong>{name}</strong> },
    {
      title: 'size',
      isNumber: true,
      value: ({ sizeBytes }) => sizeBytes,
      show: ({ sizeBytes }) => formatBytes(sizeBytes),
    },
    {
      title: 'of it write-ahead',
      isNumber: true,
      value: ({ walBytes }) => walBytes,
      show: ({ walBytes }) => formatBytes(walBytes),
    },
  ]
  return (
    <section aria-labelledby="databases-title">
      <h2 id="databases-title">Databases</h2>
      <Table
        label="Databases"
        rows={databases}
        columns={columns}
        empty="No database yet: the first write makes one."
      />
    </section>
  )
}

interface SlowProps {
  readonly slow: readonly SlowStatement[]
  readonly now: number
}

export function Slow({ slow, now }: SlowProps): JSX.Element {
  const columns: readonly Column<SlowStatement>[] = [
    { title: 'when', value: ({ at }) => at, show: ({ at }) => <When at={at} now={now} /> },
    {
      title: 'took',
      isNumber: true,
      value: ({ durationMs }) => durationMs,
      show: ({ durationMs }) => formatMs(durationMs),
    },
    { title: 'kind', value: ({ kind }) => kind },
    { title: 'database', value: ({ database }) => database },
    { title: 'statement', value: ({ sql }) => sql, show: ({ sql }) => <code>{sql}</code> },
  ]
  return (
    <section aria-labelledby="slow-title">
      <h2 id="slow-title">Slow statements on this node</h2>
      <Table
        label="Slow statements"
        rows={slow}
        columns={columns}
        empty="None since this page was opened."
      />
    </section>
  )
}

export function Warnings({
  warnings,
  now,
}: Pick<ClusterView, 'warnings'> & { now: number }): JSX.Element | null {
  if (warnings.length === 0) return null
  const columns: readonly Column<ClusterView['warnings'][number]>[] = [
    { title: 'when', value: ({ at }) => at, show: ({ at }) => <When at={at} now={now} /> },
    { title: 'code', value: ({ code }) => code, show: ({ code }) => <code>{code}</code> },
    { title: 'what happened', value: ({ message }) => message },
  ]
  return (
    <section aria-labelledby="warnings-title">
      <h2 id="warnings-title">Warnings of this node</h2>
      <Table label="Warnings" rows={warnings} columns={columns} empty="" />
    </section>
  )
}
