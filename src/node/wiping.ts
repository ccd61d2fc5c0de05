import { existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ColmenaError } from '../base/errors.ts'
import { holdDataDir } from './data-dir.ts'
import { IDENTITY_FILE, STATE_FOLDERS } from './identity.ts'

export interface WipeOptions {
  /** Of a node that is closed. */
  readonly dataDir: string
}

/**
 * Deletes what a node holds, and nothing else that lies in its directory: opened again, it begins
 * anew, or joins as a new member. For a node that is beyond repair, in a cluster that has the data.
 *
 * @returns the paths that are gone; none where there was nothing.
 * @throws ColmenaError ERR_ALREADY_OPEN, ERR_LOCKED while a node has it open; ERR_DATA_DIR
 */
export function wipe({ dataDir }: WipeOptions): readonly string[] {
  const hold = holdDataDir(dataDir)
  try {
    // The identity goes first: without it nothing of the rest is taken for a node's.
    const paths = [IDENTITY_FILE, ...STATE_FOLDERS].map((name) => join(resolve(dataDir), name))
    const found = paths.filter(existsSync)
    for (const path of found) rmSync(path, { recursive: true, force: true })
    return found
  } catch (cause) {
    throw new ColmenaError('ERR_DATA_DIR', `${dataDir} can't be emptied: ${cause}`, { cause })
  } finally {
    hold.release()
  }
}
