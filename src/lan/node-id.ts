import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Where `open` keeps who a data directory is. */
const FILE = 'identity.json'

/**
 * The node id that a data directory has from an earlier open, of whatever kind; a made-up one if it
 * has none, which `open` keeps there. A certificate has to name it before the node is opened.
 */
export function ownNodeId(dataDir: string): string {
  return readNodeId(join(resolve(dataDir), FILE)) ?? `node-${randomBytes(8).toString('hex')}`
}

/** What is wrong with the file, `open` says. */
function readNodeId(path: string): string | null {
  try {
    const { nodeId } = JSON.parse(readFileSync(path, 'utf8')) as { readonly nodeId?: unknown }
    return typeof nodeId === 'string' && nodeId !== '' ? nodeId : null
  } catch {
    return null
  }
}
