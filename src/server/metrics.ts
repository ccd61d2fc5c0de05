import { type Metric, Registry } from 'prom-client'
import type { ColmenaNode } from '../index.ts'
import { type Family, familiesOf } from './metric-families.ts'
import type { Route } from './routes.ts'

/** What Prometheus asks for. All of it is read when it is asked for, and nothing is kept here. */
export function createMetricsRoute(node: ColmenaNode): Route {
  return {
    method: 'GET',
    path: '/metrics',
    right: 'read',
    answer: async ({ signal }) => {
      const registry = new Registry()
      for (const family of familiesOf(await node.metrics({ signal }))) {
        registry.registerMetric(toMetric(family))
      }
      const headers = { 'content-type': registry.contentType }
      return new Response(await registry.metrics(), { headers })
    },
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
