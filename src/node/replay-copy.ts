import { join, resolve, sep } from 'node:path'
import { processNowMs } from '../base/process-clock.ts'
import { SharedState } from '../base/shared-state.ts'
import type { Extension } from '../sqlite/sqlite.ts'
import { invalid } from './arguments.ts'
import { checkCopyTarget } from './copy-target.ts'
import { copyDatabase, type DatabaseCopy } from './copying.ts'
import { Deadlines } from './deadlines.ts'
import { closedError } from './failures.ts'
import { ReaderProcesses } from './reader-processes.ts'

/** The databases of a replay, of which one is copied. */
export interface ReplayedFiles {
  readonly directory: string
  readonly generation: number
  readonly extensions: readonly Extension[]
  /** What all databases have applied. */
  readonly index: number
}

/** Nobody else waits for a process of this one. */
const WAIT_MS_MAX = 60_000

/** Makes the file that `database.copyTo` makes, of databases that no node has. */
export async function copyReplayed(
  { directory, generation, extensions, index }: ReplayedFiles,
  database: string,
  target: string,
  signal: AbortSignal | undefined,
): Promise<DatabaseCopy> {
  const path = checkTarget(directory, target)
  const shared = new SharedState()
  const still = { databasesEpoch: 1, isDivergent: false, walBytes: 0 }
  shared.publishStorage({ applied: index, generation, ...still })
  const deadlines = new Deadlines(WAIT_MS_MAX, processNowMs)
  const source = { directory: join(directory, 'db'), extensions }
  const processes = new ReaderProcesses(source, shared, deadlines)
  try {
    const call = { asked: { database }, signal }
    return await copyDatabase((one) => processes.run(one), path, index, call)
  } finally {
    await processes.close(closedError(undefined))
    deadlines.close()
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT for a path that a copy can't have. */
function checkTarget(directory: string, target: unknown): string {
  if (typeof target !== 'string' || target === '' || target.includes('\0')) {
    throw invalid('copyTo takes the path of a file that is not there yet')
  }
  const path = resolve(target)
  if (path.startsWith(resolve(directory) + sep)) {
    throw invalid(`${path} is in the directory of this replay, which is its own`)
  }
  checkCopyTarget(path)
  return path
}
