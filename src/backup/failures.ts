import { ColmenaError, isColmenaError } from '../index.ts'

/** Whatever failed, as one of ours. */
export function asColmenaError(error: unknown): ColmenaError {
  if (isColmenaError(error)) return error
  const message = error instanceof Error ? error.message : String(error)
  return new ColmenaError('ERR_FAILED', message, { cause: error, retryable: true })
}
