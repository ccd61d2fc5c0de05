import type { JobState, JobsMetrics, TypeStats } from '../jobs/jobs.ts'
import { counter, type Family, gauge, labelled } from './metric-families.ts'

/** What this node did with jobs, and what the cluster has of them; null where that is not known. */
export function jobFamiliesOf(node: JobsMetrics, types: readonly TypeStats[] | null): Family[] {
  const known = types ?? []
  const queued = types === null ? {} : countStates(types)
  const pending = known.map(({ type, counts }) => [type, counts.pending] as const)
  const waited = known.map(({ type, waitedMs }) => [type, waitedMs / 1_000] as const)
  return [
    counter('jobs_executed_total', 'Attempts that ended here', node.executed),
    counter('jobs_succeeded_total', 'Jobs that succeeded here', node.succeeded),
    counter('jobs_failed_total', 'Attempts that failed here', node.failed),
    counter('jobs_retried_total', 'Of those, attempts that another one follows', node.retried),
    counter('jobs_dead_total', 'Jobs whose last attempt failed here', node.dead),
    counter('jobs_reaped_total', 'Finished jobs that this node removed', node.reaped),
    counter('jobs_swept_total', 'Jobs of lost workers that this node freed', node.swept),
    gauge('jobs_running', 'Jobs that run here', node.running),
    labelled('gauge', 'jobs_queue', 'Jobs of the cluster', 'state', queued),
    labelled('gauge', 'jobs_pending_by_type', 'Of those, jobs that are to run', 'type', {
      ...Object.fromEntries(pending),
    }),
    labelled('gauge', 'jobs_waited_seconds', 'How long the oldest one has waited', 'type', {
      ...Object.fromEntries(waited),
    }),
  ]
}

function countStates(types: readonly TypeStats[]): Record<JobState, number> {
  const total = {
    waiting: 0,
    pending: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    dead: 0,
    cancelled: 0,
  }
  for (const { counts } of types) {
    for (const state of Object.keys(total) as JobState[]) total[state] += counts[state]
  }
  return total
}
