import { type Metric, Registry } from 'prom-client'
import type { ColmenaNode } from '../index.ts'
import { backupFamiliesOf } from './backup-families.ts'
import type { HandlerConfig } from './config.ts'
import { jobFamiliesOf } from './job-families.ts'
import { type Family, familiesOf } from './metric-families.ts'
import type { Route } from './routes.ts'

type MetricsConfig = Pick<HandlerConfig, 'jobs' | 'backup' | 'logger'>

/** What Prometheus asks for. All of it is read when it is asked for, and nothing is kept here. */
export function createMetricsRoute(node: ColmenaNode, config: MetricsConfig): Route {
  return {
    method: 'GET',
    path: '/metrics',
    right: 'read',
    answer: async ({ signal }) => {
      const registry = new Registry()
      const families = [
        ...familiesOf(await node.metrics({ signal })),
        ...(await readJobFamilies(config, signal)),
        ...(config.backup === null ? [] : backupFamiliesOf(config.backup.status(), Date.now())),
      ]
      for (const family of families) registry.registerMetric(toMetric(family))
      const headers = { 'content-type': registry.contentType }
      return new Response(await registry.metrics(), { headers })
    },
  }
}

/** By this node's own file: who has no leader is looked at most of all. */
async function readJobFamilies(
  { jobs, logger }: MetricsConfig,
  signal: AbortSignal,
): Promise<Family[]> {
  if (jobs === null) return []
  try {
    const types = await jobs.stats({ signal, consistency: 'none', isolated: true })
    return jobFamiliesOf(jobs.metrics(), types)
  } catch (error) {
    // All else is worth to be known all the same.
    logger.warn?.('/metrics has no numbers of the jobs in the cluster', error)
    return jobFamiliesOf(jobs.metrics(), null)
  }
}

/** The node counts by itself: of a metric the registry needs its name and what it holds now. */
function toMetric(family: Family): Metric {
  const metric = {
    name: family.name,
    get: () => Promise.resolve({ ...family, aggregator: 'sum', values: family.samples }),
  }
  return metric as unknown as Metric
}
