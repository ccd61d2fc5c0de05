import type { BackupStatus, TargetStatus } from '../backup/backup.ts'
import { type Family, gauge, labelled } from './metric-families.ts'

/** How the backup is, of each target; what is not known is NaN, as 0 would say the opposite. */
export function backupFamiliesOf(status: BackupStatus, nowMs: number): Family[] {
  const { role, targets, drill } = status
  const of = (value: (target: TargetStatus) => number | null): Record<string, number> =>
    Object.fromEntries(targets.map((target) => [target.label, value(target) ?? Number.NaN]))
  const age = (ms: number | null): number => (ms === null ? Number.NaN : (nowMs - ms) / 1_000)
  const perTarget = (
    name: string,
    help: string,
    value: (target: TargetStatus) => number | null,
  ): Family => labelled('gauge', `backup_${name}`, help, 'target', of(value))
  return [
    gauge(
      'backup_is_shipping',
      'Whether this node ships, as the leader',
      Number(role !== 'following'),
    ),
    perTarget('last_index', 'The last entry that is there', ({ lastIndex }) => lastIndex),
    perTarget('lag_entries', 'Applied entries that are not there', ({ lagEntries }) => lagEntries),
    perTarget('lag_seconds', 'What a disaster now would lose', ({ lagMs }) =>
      lagMs === null ? null : lagMs / 1_000,
    ),
    perTarget('snapshot_age_seconds', 'Since the last snapshot was taken', ({ lastSnapshotMs }) =>
      age(lastSnapshotMs),
    ),
    labelled(
      'counter',
      'backup_shipped_bytes_total',
      'Bytes of the log that were put there',
      'target',
      of(({ shippedBytes }) => shippedBytes),
    ),
    perTarget('failures_in_row', 'Failures since it last went well', (target) => {
      return target.failuresInRow
    }),
    gauge('backup_drill_age_seconds', 'Since restoring was last tried', age(drill.endedMs)),
    gauge('backup_drill_failures_in_row', 'Such tries that failed', drill.failuresInRow),
  ]
}
