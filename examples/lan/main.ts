/**
 * A cluster on the local network. The same line on every machine:
 *
 *   npx node examples/lan/main.ts
 *
 * The first one makes the cluster's CA, in data/lan-ca: copy that folder to the others before they
 * start, for it is all that they have in common. Then open http://127.0.0.1:8080 on any of them.
 *
 * Several on one machine, each in a terminal of its own:
 *
 *   npx node examples/lan/main.ts data/lan-b 9002 8082
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createAuthority } from '../../src/certificates/certificates.ts'
import { ColmenaError } from '../../src/index.ts'
import { startLan } from '../../src/lan/lan.ts'
import { createServer } from '../../src/server/server.ts'

const CA_DIR = process.env['LAN_CA_DIR'] ?? 'data/lan-ca'
/** To look around on one network alone, or on loopback. */
const INTERFACE = process.env['LAN_INTERFACE']

/** That of the folder; a new one where there is none yet. */
async function readCa(): Promise<{ readonly ca: string; readonly caKey: string }> {
  const [certPath, keyPath] = [join(CA_DIR, 'ca.pem'), join(CA_DIR, 'ca-key.pem')]
  if (!existsSync(certPath)) {
    const { cert, key } = await createAuthority({ name: 'colmena lan', days: 3650 })
    mkdirSync(CA_DIR, { recursive: true, mode: 0o700 })
    writeFileSync(keyPath, key, { mode: 0o600 })
    writeFileSync(certPath, cert)
    console.log(`made a CA in ${CA_DIR}: copy it to the other machines before they start`)
  }
  return { ca: readFileSync(certPath, 'utf8'), caKey: readFileSync(keyPath, 'utf8') }
}

async function main([dataDir = 'data/lan', port = '9000', http = '8080']: readonly string[]) {
  const logger = { info: console.log, warn: console.warn, error: console.error }
  const trust = await readCa()
  const bind = `0.0.0.0:${port}`
  const cluster = await startLan({ dataDir, bind, interface: INTERFACE, ...trust, logger })
  const { node } = cluster
  const server = await createServer(node, { port: Number(http) })
  console.log(`${node.nodeId} listens on ${node.address}, and serves ${server.url}`)
  const stop = async (): Promise<void> => {
    await server.close()
    await cluster.leave()
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  node.once('closed', () => void server.close())
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  if (!(error instanceof ColmenaError)) throw error
  console.error(`${error.code}: ${error.message}`)
  process.exitCode = 1
}
