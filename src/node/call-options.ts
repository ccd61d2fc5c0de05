import { checkSignal, invalid, show } from './arguments.ts'
import { type Consistency, checkConsistency } from './consistency.ts'
import { checkFence, type Fence } from './lease-options.ts'
import { checkKeys } from './nearest.ts'

/** What every call takes last. */
export interface CallOptions {
  /**
   * Stops waiting and rejects with ERR_ABORTED. A write that has left for the log may still be
   * applied: the error's `outcome` says what is known.
   */
  readonly signal?: AbortSignal | undefined
  /** The level of this read; it wins over `withConsistency` and the database's own. */
  readonly consistency?: Consistency | undefined
  /**
   * Reads at level `none`, and fails with ERR_STALE where what this node has applied may be older
   * than this: it needs no leader, only one that was there so long ago.
   */
  readonly maxStalenessMs?: number | undefined
  /**
   * The read waits until this node has applied that log index, at any level: of a write's `index`,
   * it sees that write on every node. At the deadline it fails with ERR_TIMEOUT.
   */
  readonly after?: number | undefined
  /**
   * Numbers as SQLite tells them apart, in arguments and in rows: a `bigint` is an integer, a
   * `number` a double. Without it whole numbers are integers, and integers numbers where they fit.
   *
   * @defaultValue false
   */
  readonly exactNumbers?: boolean | undefined
  /**
   * Reads in a process of its own, which is killed after `statementTimeoutMs` or by `signal`: for
   * statements that may never end. Writes run on all nodes as ever.
   *
   * @defaultValue false
   */
  readonly isolated?: boolean | undefined
  /**
   * A lock: the write applies only if it is still held when the write's turn in the log comes, and
   * is refused with ERR_FENCED else, on all nodes. Reads leave it aside.
   */
  readonly fence?: Fence | undefined
}

const KEYS = [
  'signal',
  'consistency',
  'exactNumbers',
  'isolated',
  'maxStalenessMs',
  'after',
  'fence',
]
const NONE: CallOptions = Object.freeze({})

/** @throws ColmenaError ERR_INVALID_ARGUMENT: a misspelt level must not be a weaker one. */
export function checkCallOptions(options: unknown): CallOptions {
  if (options === undefined) return NONE
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid('the options of a call are an object, such as { consistency: "strong" }')
  }
  checkKeys(options, KEYS, invalid, ' of a call')
  const { signal, consistency, exactNumbers, isolated, fence } = options as CallOptions
  checkSignal(signal)
  if (consistency !== undefined) checkConsistency(consistency, 'consistency')
  checkBounds(options)
  if (exactNumbers !== undefined && typeof exactNumbers !== 'boolean') {
    throw invalid('exactNumbers must be true or false')
  }
  if (isolated !== undefined && typeof isolated !== 'boolean') {
    throw invalid('isolated must be true or false')
  }
  if (fence !== undefined) checkFence(fence)
  return options
}

/** What a read asks of its answer's age and place. */
function checkBounds({ consistency, maxStalenessMs, after }: CallOptions): void {
  const hasBound = maxStalenessMs !== undefined
  if (hasBound && !(Number.isFinite(maxStalenessMs) && maxStalenessMs >= 0)) {
    throw invalid(`maxStalenessMs is ${show(maxStalenessMs)}; it must be a number, not below 0`)
  }
  if (hasBound && consistency !== undefined && consistency !== 'none') {
    throw invalid(
      `maxStalenessMs bounds reads at level 'none', and this one asks for '${consistency}': ` +
        'leave one of the two out',
    )
  }
  if (after !== undefined && !(Number.isSafeInteger(after) && after >= 0)) {
    throw invalid(`after is ${show(after)}; it must be a log index, such as the index of a write`)
  }
}
