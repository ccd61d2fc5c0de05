import { assert } from '../base/assert.ts'
import { ColmenaError } from '../base/errors.ts'
import { fromReaderFailure, type ReaderAnswer } from '../database/database.ts'
import { withCopyTarget } from './copy-target.ts'
import { readFailure, type StatementPlace } from './failures.ts'
import type { IsolatedCall } from './reader-processes.ts'

/** A copy takes as long as the disk does, but not for ever. */
const COPY_MS_MAX = 3_600_000

/** A copy of a database, as `copyTo` made it. */
export interface DatabaseCopy {
  /** The log index that the copy holds all writes up to. */
  readonly index: number
  readonly sizeBytes: number
}

/**
 * Copies a database to `path`, in a process of its own.
 *
 * @param applied up to where all databases have applied the log, at least
 */
export async function copyDatabase(
  run: (call: IsolatedCall) => Promise<ReaderAnswer>,
  path: string,
  applied: number,
  options: Pick<IsolatedCall, 'asked' | 'signal'>,
): Promise<DatabaseCopy> {
  const timedOut = (): ColmenaError =>
    new ColmenaError('ERR_TIMEOUT', `the copy was not made in ${COPY_MS_MAX} ms`)
  return withCopyTarget(path, async (partialPath) => {
    const work = { kind: 'copy', path: partialPath } as const
    const answer = await run({ ...options, work, timeoutMs: COPY_MS_MAX, timedOut })
    if (answer.kind !== 'copied') throw failureOf(answer, { index: 0, count: 1 })
    const { appliedIndex, sizeBytes } = answer.copied
    // An idle database's own index stays behind: nothing was written to it in between.
    return { index: Math.max(applied, appliedIndex), sizeBytes }
  })
}

/** Why a process did not do its work. */
export function failureOf(answer: ReaderAnswer, place: StatementPlace): unknown {
  assert(answer.kind === 'failed', 'work is answered in its kind, or has failed')
  const index = place.index + answer.statementIndex
  return readFailure(fromReaderFailure(answer.failure), { ...place, index })
}
