import { DecodeError } from '../base/bytes.ts'
import { ColmenaError } from '../base/errors.ts'
import type { Reply } from './port.ts'

/**
 * A reply whose body `decode` reads. One that it can't read is an error like any other: `done` must
 * hear of it, and what was asked for may have been done.
 */
export function readReply<T>(
  decode: (body: Uint8Array) => T,
  done: (error: ColmenaError | null, value: T | null) => void,
): Reply {
  return (error, body) => {
    if (error !== null || body === undefined) done(error, null)
    else done(...read(decode, body))
  }
}

function read<T>(
  decode: (body: Uint8Array) => T,
  body: Uint8Array,
): [error: ColmenaError | null, value: T | null] {
  try {
    return [null, decode(body)]
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause
    const message = `its answer can't be read: ${cause.message}`
    const options = { cause, retryable: true, outcome: 'unknown' } as const
    return [new ColmenaError('ERR_FAILED', message, options), null]
  }
}
