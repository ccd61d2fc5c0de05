import { ColmenaError } from '../base/errors.ts'
import type { ErrorMessage } from './protocol.ts'

/** Any error in the form that crosses threads. */
export function errorMessage(error: Error): ErrorMessage {
  if (error instanceof ColmenaError) {
    const { code, message, retryable, outcome, index } = error
    return { code, message, retryable, outcome, index }
  }
  return { code: 'ERR_FAILED', message: error.message, retryable: false, outcome: 'unknown' }
}
