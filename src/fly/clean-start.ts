import { existsSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** What a node keeps in its data directory. Whatever else lies there is somebody else's. */
const STATE = ['identity.json', 'log', 'db'] as const

/** Deletes what a node holds, which no node may have open; what was deleted, as paths. */
export function deleteState(dataDir: string): readonly string[] {
  const paths = STATE.map((name) => join(resolve(dataDir), name)).filter(existsSync)
  // The identity goes first: without it nothing of the rest is taken for a node's.
  for (const path of paths) rmSync(path, { recursive: true, force: true })
  return paths
}
