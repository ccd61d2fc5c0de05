import { type SpawnSyncReturns, spawnSync } from 'node:child_process'
import { root } from '../docs/pages.ts'

export interface Run {
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string | undefined>>
}

/** Runs this very Node.js in the project's folder, to its end. */
export function runNode({ args, env = {} }: Run): SpawnSyncReturns<string> {
  // The runner's own variable would make a test runner below it a part of this one.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env
  return spawnSync(process.execPath, args, {
    cwd: root,
    encoding: 'utf8',
    env: { ...inherited, ...env },
    timeout: 60_000,
  })
}
