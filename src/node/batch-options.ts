import { invalid, show } from './arguments.ts'
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
  if (input !== undefined && typeof input !== 'object') return toBatchOptions({ mode: input })
  const { mode, ...options } = (input ?? {}) as BatchOptions
  if (!BATCH_MODES.includes(mode)) {
    throw invalid(`the batch mode is ${show(mode)}; it can be 'write', 'read', 'deferred'`)
  }
  return { ...checkCallOptions(options), mode }
}
