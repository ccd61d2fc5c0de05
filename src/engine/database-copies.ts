import { ColmenaError, isColmenaError } from '../base/errors.ts'
import type { DatabasesCopy } from './reports.ts'
import type { Answer } from './requests.ts'
import type { StatusParts } from './status.ts'

/** Copies all databases, as they are at one index, into a directory under the data directory. */
export function copyDatabases({ applier }: StatusParts, directory: string, answer: Answer): void {
  applier.copySnapshot(directory, (error, copied) => {
    if (error !== null || copied === null) return answer(asRetryable(error), null)
    const { index, term, clockMs, digests, files } = copied
    const copy: DatabasesCopy = {
      index,
      term,
      timeMs: clockMs,
      digests: Object.fromEntries(digests),
      files: files.map(({ name, sizeBytes, sha256 }) => {
        return { name, sizeBytes, sha256: Buffer.from(sha256).toString('hex') }
      }),
    }
    answer(null, copy)
  })
}

function asRetryable(error: Error | null): ColmenaError {
  if (isColmenaError(error)) return error
  const message = `the databases could not be copied: ${error?.message}`
  return new ColmenaError('ERR_FAILED', message, { cause: error, retryable: true })
}
