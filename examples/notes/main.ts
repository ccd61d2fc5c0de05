/**
 * Notes on three nodes. In three terminals:
 *
 *   npx node examples/notes/main.ts a 8001 127.0.0.1:9001 bootstrap
 *   npx node examples/notes/main.ts b 8002 127.0.0.1:9002 127.0.0.1:9001
 *   npx node examples/notes/main.ts c 8003 127.0.0.1:9003 127.0.0.1:9001
 *
 * Then open http://127.0.0.1:8001 and http://127.0.0.1:8002 side by side, write in one, and see it
 * in the other. Kill any one of the three (kill -9 if you like): the others go on, and it catches up
 * when it is started again.
 */
import { serve } from '@hono/node-server'
import { ColmenaError, open } from '../../src/index.ts'
import { createApp } from './app.ts'
import { MIGRATIONS } from './notes.ts'

const USAGE =
  'usage: npx node examples/notes/main.ts <name> <http port> <host:port> bootstrap | <host:port of another>'

async function main([nodeId, port, bind, how]: readonly string[]): Promise<void> {
  if (nodeId === undefined || port === undefined || bind === undefined || how === undefined) {
    console.error(USAGE)
    process.exitCode = 2
    return
  }
  const begin = how === 'bootstrap' ? { bootstrap: true } : { join: how }
  const dataDir = `${process.env['NOTES_DIR'] ?? 'data'}/notes-${nodeId}`
  const node = await open({ nodeId, bind, dataDir, ...begin })
  // Every node asks; the cluster runs each migration once.
  await node.migrate(MIGRATIONS, { changes: true })
  const app = createApp(node, node.database())
  const server = serve({ fetch: app.fetch, port: Number(port), hostname: '127.0.0.1' }, () =>
    console.log(`${nodeId} serves http://127.0.0.1:${port}`),
  )
  const stop = async (): Promise<void> => {
    server.close()
    if ('closeAllConnections' in server) server.closeAllConnections()
    await node.close()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof ColmenaError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}
