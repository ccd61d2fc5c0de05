import { ColmenaError } from '../base/errors.ts'
import { type CallOptions, checkCallOptions } from './call-options.ts'

/** How a batch runs: `read` on one local snapshot, the others as one write; see `batch`. */
export type BatchMode = 'write' | 'read' | 'deferred'

/** A batch's mode together with the options of any call. */
export interface BatchOptions extends CallOptions {
  readonly mode?: BatchMode | undefined
}

const BATCH_MODES: readonly unknown[] = ['write', 'read', 'deferred', undefined]

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function toBatchOptions(input: unknown): BatchOptions {
  if (typeof input === 'string') return toBatchOptions({ mode: input })
  const { mode, ...options } = (input ?? {}) as BatchOptions
  if (!BATCH_MODES.includes(mode)) {
    throw new ColmenaError(
      'ERR_INVALID_ARGUMENT',
      `the batch mode is ${JSON.stringify(mode)}; it can be 'write', 'read', 'deferred'`,
    )
  }
  return { ...checkCallOptions(options), mode }
}
