import { processNowMs } from '../base/process-clock.ts'
import { COMPACTION, type CompactedSizes, compactedSizes } from '../command/command.ts'
import { checkSignal, invalid, show } from './arguments.ts'
import { Deadlines } from './deadlines.ts'
import { ALONE, checkNotAborted } from './failures.ts'
import { checkKeys } from './nearest.ts'
import type { NodeCore } from './node-core.ts'
import { refuseNested } from './transaction-scope.ts'

export interface CompactOptions {
  /**
   * How long this node may take. Once it is in the log the compaction goes on, on every node.
   *
   * @defaultValue 600,000
   */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a compaction came to; the sizes are those of this node's files. */
export interface Compacted extends CompactedSizes {
  /** Of its log entry. */
  readonly index: number
}

const KEYS = ['timeoutMs', 'signal']
const TIMEOUT_MS = 600_000
const TIMEOUT_MS_MAX = 0x7fff_ffff

/** Has the log compact a database, and waits until this node has. */
export async function compact(
  core: NodeCore,
  database: string,
  options: CompactOptions,
): Promise<Compacted> {
  core.checkOpen()
  const { timeoutMs, signal } = checkCompactOptions(options)
  checkNotAborted(signal)
  refuseNested(core, database)
  const deadlines = new Deadlines(timeoutMs, processNowMs)
  try {
    const request = { database, unit: COMPACTION, place: ALONE, signal, deadlines }
    const { place, statements } = await core.writes.submit(request)
    return { index: place.index, ...compactedSizes(statements[0]) }
  } finally {
    deadlines.close()
  }
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
function checkCompactOptions(options: CompactOptions): {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
} {
  checkKeys(options, KEYS, invalid, ' of compact')
  const { timeoutMs = TIMEOUT_MS, signal } = options
  if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX) {
    const range = `it is a whole number from 1 to ${TIMEOUT_MS_MAX}`
    throw invalid(`timeoutMs is ${show(timeoutMs)}; ${range}`)
  }
  return { timeoutMs, signal: checkSignal(signal) }
}
