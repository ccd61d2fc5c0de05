import type { ColmenaNode } from '../index.ts'
import { RETRY_AFTER_SECONDS } from './failures.ts'
import type { Call, Route } from './routes.ts'

const UNTOLD = 'whoever may read is told why: send authorization: Bearer <token>'

/** How the node is, for machines that probe it and for people. */
export function createNodeRoutes(node: ColmenaNode): Route[] {
  return [
    { method: 'GET', path: '/healthz', right: null, answer: () => answerHealth(node) },
    { method: 'GET', path: '/readyz', right: null, answer: (call) => answerReadiness(node, call) },
    {
      method: 'GET',
      path: '/status',
      right: 'read',
      answer: async ({ signal }) => Response.json(await node.status({ signal })),
    },
    {
      method: 'GET',
      path: '/databases',
      right: 'read',
      answer: async ({ signal }) => Response.json((await node.status({ signal })).databases),
    },
  ]
}

/** That this node is open: whoever restarts a process for less restarts it for nothing. */
function answerHealth(node: ColmenaNode): Response {
  // A node that is closed, or has failed, gives no handle out.
  node.database()
  return Response.json({ healthy: true }, { headers: { 'cache-control': 'no-store' } })
}

/** Whether work should come here; with `?noleader`, whether reads of level `none` should. */
async function answerReadiness(node: ColmenaNode, call: Call): Promise<Response> {
  const { notReadyReason, staleReason } = await node.status({ signal: call.signal })
  const reason = call.query('noleader') === undefined ? notReadyReason : staleReason
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  if (reason !== null) headers['retry-after'] = RETRY_AFTER_SECONDS
  // It may name members, files and statements.
  const isTold = reason === null || (await call.mayRead())
  const body = { ready: reason === null, reason: isTold ? reason : UNTOLD }
  return Response.json(body, { status: reason === null ? 200 : 503, headers })
}
