/** What is kept outside the cluster: how far each target is, and what fails. */
import type { JSX } from 'preact'
import type { BackupStatus } from '../../src/backup/backup.ts'
import { formatBytes, formatCount, formatMs } from '../shared/format.ts'
import { type Column, Table } from '../shared/table.tsx'
import { When } from '../shared/when.tsx'

type Target = BackupStatus['targets'][number]

interface BackupProps {
  readonly backup: BackupStatus
  readonly now: number
}

export function Backup({ backup, now }: BackupProps): JSX.Element {
  const columns: readonly Column<Target>[] = [
    {
      title: 'target',
      value: ({ label }) => label,
      show: ({ label }) => <code class="place">{label}</code>,
    },
    {
      title: 'last entry',
      isNumber: true,
      value: ({ lastIndex }) => lastIndex,
      show: ({ lastIndex }) =>
        lastIndex === null ? <span class="soft">not known yet</span> : formatCount(lastIndex),
    },
    {
      title: 'behind',
      isNumber: true,
      value: ({ lagMs }) => lagMs,
      show: ({ lagMs }) =>
        lagMs === null ? <span class="soft">not known yet</span> : formatMs(lagMs),
    },
    {
      title: 'last snapshot',
      value: ({ lastSnapshotMs }) => lastSnapshotMs,
      show: ({ lastSnapshotMs }) =>
        lastSnapshotMs === null ? (
          <span class="soft">none yet</span>
        ) : (
          <When at={lastSnapshotMs} now={now} />
        ),
    },
    {
      title: 'log shipped',
      isNumber: true,
      value: ({ shippedBytes }) => shippedBytes,
      show: ({ shippedBytes }) => formatBytes(shippedBytes),
    },
  ]
  const failing = backup.targets.filter(({ error }) => error !== null)
  return (
    <section aria-labelledby="backup-title">
      <h2 id="backup-title">Backup</h2>
      <p class="soft">
        {backup.role === 'shipping' ? 'This node leads, so it ships.' : 'The leader ships.'}{' '}
        <Drill drill={backup.drill} now={now} />
      </p>
      {failing.map(({ label, failuresInRow, error }) => (
        <div key={label} class="mistake">
          <strong>
            {label}: {formatCount(failuresInRow)} {failuresInRow === 1 ? 'failure' : 'failures'} in
            a row.
          </strong>{' '}
          {error?.message}
        </div>
      ))}
      <Table label="Backup" rows={backup.targets} columns={columns} empty="No target." />
    </section>
  )
}

function Drill({ drill, now }: { drill: BackupStatus['drill']; now: number }): JSX.Element {
  const { endedMs, index, failuresInRow, error } = drill
  if (endedMs === null) return <>It has not restored for a try since its start.</>
  if (error !== null) {
    return (
      <strong>
        Restoring for a try failed ({formatCount(failuresInRow)} in a row), the last time{' '}
        <When at={endedMs} now={now} />: {error.message}
      </strong>
    )
  }
  return (
    <>
      It restored up to entry {formatCount(index ?? 0)} for a try, <When at={endedMs} now={now} />.
    </>
  )
}
