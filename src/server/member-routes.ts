import { ColmenaError, type ColmenaNode, type SignalOptions } from '../index.ts'
import { type Bodies, parseJson } from './bodies.ts'
import type { Call, Route } from './routes.ts'

/** Who the members are, and what an operator does about them; each answer is who they are then. */
export function createMemberRoutes(node: ColmenaNode, bodies: Bodies): Route[] {
  const answer = async ({ signal }: Call): Promise<Response> =>
    Response.json(await node.members({ signal }))
  const change =
    (act: (nodeId: string, options: SignalOptions) => Promise<unknown>): Route['answer'] =>
    async (call) => {
      await act(call.param('nodeId'), { signal: call.signal })
      return answer(call)
    }
  const operating = { method: 'POST', right: 'admin' } as const
  return [
    { method: 'GET', right: 'read', path: '/members', answer },
    {
      ...operating,
      path: '/members/:nodeId/promote',
      answer: change((nodeId, options) => node.promote(nodeId, options)),
    },
    {
      ...operating,
      path: '/members/:nodeId/demote',
      answer: change((nodeId, options) => node.demote(nodeId, options)),
    },
    {
      method: 'DELETE',
      right: 'admin',
      path: '/members/:nodeId',
      answer: change((nodeId, options) => node.removeMember(nodeId, options)),
    },
    {
      ...operating,
      path: '/leadership',
      answer: (call) => answerLeadership(node, bodies, call),
    },
    {
      ...operating,
      path: '/entries/:index/skip',
      answer: (call) => answerSkip(node, bodies, call),
    },
  ]
}

async function answerLeadership(node: ColmenaNode, bodies: Bodies, call: Call): Promise<Response> {
  using body = await bodies.read(call)
  const nodeId = body.text === '' ? undefined : readNodeId(parseJson(body.text))
  await node.transferLeadership(nodeId, { signal: call.signal })
  return Response.json({ leader: node.leader })
}

async function answerSkip(node: ColmenaNode, bodies: Bodies, call: Call): Promise<Response> {
  const index = Number(call.param('index'))
  using body = await bodies.read(call)
  const without = body.text === '' ? [] : readWithout(parseJson(body.text))
  await node.skip(index, { without, signal: call.signal })
  return Response.json({ skipped: index })
}

function readWithout(body: unknown): readonly string[] {
  const { without = [], ...others } = Object(body) as { readonly without?: unknown }
  const isKnown = Object.keys(others).length === 0 && !Array.isArray(body)
  if (isKnown && Array.isArray(without) && without.every((name) => typeof name === 'string')) {
    return without
  }
  const message = 'the body must be { "without": ["<name>"] }, or {}'
  throw new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

function readNodeId(body: unknown): string | undefined {
  const { nodeId, ...others } = Object(body) as { readonly nodeId?: unknown }
  const isKnown = Object.keys(others).length === 0 && !Array.isArray(body)
  if (isKnown && (nodeId === undefined || typeof nodeId === 'string')) return nodeId
  throw new ColmenaError('ERR_INVALID_ARGUMENT', 'the body must be { "nodeId": "<name>" }, or {}')
}
