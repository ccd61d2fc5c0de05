import { checkSignalOptions, invalid, type SignalOptions } from './arguments.ts'
import type { NodeCore } from './node-core.ts'

/** What `skip` is asked with. */
export interface SkipOptions extends SignalOptions {
  /**
   * Node ids of members that are gone for good, and can't say that they have not applied the
   * entry. Their data directories must be deleted before they come back.
   */
  readonly without?: readonly string[] | undefined
}

/**
 * Has a write that no member can apply pass as one that failed, by an entry of the log that all
 * read before they go on.
 *
 * @throws ColmenaError as of `ColmenaNode.skip`
 */
export async function skip(core: NodeCore, index: number, options: SkipOptions): Promise<void> {
  const { without = [], ...rest } = options
  const signal = checkSignalOptions(rest, 'skip')
  if (!Number.isSafeInteger(index) || index < 1) {
    throw invalid(`skip takes the index of a log entry, not ${String(index)}`)
  }
  if (!Array.isArray(without) || without.some((name) => typeof name !== 'string')) {
    throw invalid('`without` of skip is a list of node ids')
  }
  await core.request({ method: 'skip', index, without }, signal)
}
