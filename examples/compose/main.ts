/** One node of a cluster whose nodes a DNS knows by one name, with its HTTP server. */
import { hostname } from 'node:os'
import { startDns } from 'colmena/dns'
import { createServer } from 'colmena/server'

function read(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '') throw new Error(`${name} is missing`)
  return value
}

const cluster = await startDns({
  name: read('COLMENA_DNS_NAME'),
  nodeId: hostname(),
  dataDir: process.env['COLMENA_DATA_DIR'] ?? '/data',
  secret: read('COLMENA_SECRET'),
  logger: console,
})
const { node } = cluster
const server = await createServer(node, {
  host: '0.0.0.0',
  port: 8080,
  tokens: { [read('COLMENA_TOKEN')]: 'admin' },
  logger: console,
})
console.log(`${node.nodeId} is at ${node.address}, and its page at ${server.url}`)

// Whatever stops containers sends SIGTERM first: the node hands over what it has to hand over.
const stop = async (): Promise<void> => {
  await server.close()
  await cluster.leave()
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
// One that was removed, or has failed, is started anew: then it heals.
node.once('closed', async ({ reason }) => {
  await server.close()
  if (reason === 'failed') process.exitCode = 1
})
