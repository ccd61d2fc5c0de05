import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ColmenaError } from '../index.ts'

const FILE = 'node-id'
/** As a certificate can carry it. */
const NODE_ID = /^[A-Za-z0-9._-]{1,128}$/

/**
 * The id of the machine that has this data directory: made up at its first start, and the same from
 * then on. A certificate has to name it before the node is opened.
 *
 * @throws ColmenaError ERR_DATA_DIR
 */
export function keptNodeId(dataDir: string): string {
  const path = join(resolve(dataDir), FILE)
  try {
    mkdirSync(resolve(dataDir), { recursive: true, mode: 0o700 })
    const kept = readIfThere(path)
    if (kept !== null && NODE_ID.test(kept)) return kept
    if (kept !== null && kept !== '')
      throw new Error(`it holds ${JSON.stringify(kept)}, no node id`)
    const made = `node-${randomBytes(8).toString('hex')}`
    writeFileSync(path, `${made}\n`, { flush: true })
    return made
  } catch (error) {
    const { message } = error as Error
    throw new ColmenaError('ERR_DATA_DIR', `the node id can't be kept in ${path}: ${message}`, {
      cause: error,
    })
  }
}

/** One that a loss of power left empty is as none: no node was opened under it. */
function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim().slice(0, 200)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
