import { existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isColmenaError, planRecovery } from '../index.ts'

/** What a node keeps in its data directory. Whatever else lies there is somebody else's. */
const STATE = ['identity.json', 'log', 'db'] as const

const IN_USE: readonly string[] = ['ERR_LOCKED', 'ERR_ALREADY_OPEN']

/**
 * Deletes what a node holds; what was deleted, as paths.
 *
 * @throws ColmenaError ERR_LOCKED, ERR_ALREADY_OPEN where a node has it open
 */
export async function deleteState(dataDir: string): Promise<readonly string[]> {
  await checkUnused(dataDir)
  const paths = STATE.map((name) => join(resolve(dataDir), name)).filter(existsSync)
  // The identity goes first: without it nothing of the rest is taken for a node's.
  for (const path of paths) rmSync(path, { recursive: true, force: true })
  return paths
}

/** Whoever plans a recovery has the directory for itself; what else it says of it is no matter. */
async function checkUnused(dataDir: string): Promise<void> {
  try {
    await planRecovery({ dataDir })
  } catch (error) {
    if (isColmenaError(error) && IN_USE.includes(error.code)) throw error
  }
}
