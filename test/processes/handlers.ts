import { type ColmenaNode, handler } from '../../src/index.ts'
import type { HandlerKey } from './protocol.ts'

export interface Place {
  readonly nodeId: string
  readonly from: string
  readonly request: unknown
}

/** What the nodes of a test do for each other. */
export function handleHere(node: ColmenaNode, key: HandlerKey): void {
  const { nodeId } = node
  if (key === 'place') {
    const place = handler<unknown, Place>(key)
    node.handle(place, (request, { nodeId: from }) => ({ nodeId, from, request }))
  } else {
    node.handle(handler<string, void>(key), async (id) => {
      await node.database().execute('INSERT INTO ran VALUES (?, ?)', [id, nodeId])
      await new Promise(() => {})
    })
  }
}
