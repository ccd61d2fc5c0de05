/** The proxies of one cluster, on a thread that no test's own work can hold up. */
import { parentPort } from 'node:worker_threads'
import type { LinksAnswer, LinksMessage, LinksRequest } from './links.ts'
import { NodeProxy } from './node-proxy.ts'

const proxies = new Map<string, NodeProxy>()

async function answer(request: LinksRequest): Promise<string> {
  switch (request.kind) {
    case 'open': {
      const proxy = await NodeProxy.open(null, 0)
      proxies.set(request.id, proxy)
      return proxy.address
    }
    case 'direct':
      proxies.get(request.id)?.direct(request.port)
      return ''
    case 'end':
      proxies.get(request.id)?.direct(null)
      for (const proxy of proxies.values()) {
        proxy.break(request.id)
        proxy.cut(request.id)
      }
      return ''
    case 'cut':
      cut(new Set(request.pairs.map(([from, to]) => `${from} ${to}`)))
      return ''
  }
}

/** These pairs are cut and no others. */
function cut(pairs: ReadonlySet<string>): void {
  for (const [to, proxy] of proxies) {
    for (const from of proxies.keys()) {
      if (pairs.has(`${from} ${to}`)) proxy.cut(from)
      else proxy.join(from)
    }
  }
}

parentPort?.on('message', async ({ key, request }: LinksMessage) => {
  const given: LinksAnswer = await answer(request).then(
    (address) => ({ key, address, error: null }),
    (error: unknown) => ({ key, address: '', error }),
  )
  parentPort?.postMessage(given)
})
