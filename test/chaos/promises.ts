/**
 * What callers may be told, by the table of `docs/errors.md`: no other code, no other outcome than
 * its code has, and `retryable` as it says.
 */
import { readFileSync } from 'node:fs'
import type { RemoteError } from '../processes/node-handle.ts'
import type { NodeCalls } from '../processes/protocol.ts'

interface Promised {
  /** 'yes', 'no' or 'depends'. */
  readonly retry: string
  /** Empty where no write is involved. */
  readonly outcomes: readonly string[]
}

const PAGE = new URL('../../docs/errors.md', import.meta.url)
const ROW = /^\| `(ERR_[A-Z_]+)` \| [^|]+ \| (yes|no|depends) \| ([^|]+) \| [^|]+ \|$/gm

/** Of whatever a client asks of a node that may be cut off, stopped, full or no member any more. */
const OF_ANY = [
  'ERR_APPLY_HALTED',
  'ERR_BUSY',
  'ERR_CLOSED',
  'ERR_NO_LEADER',
  'ERR_REMOVED',
  'ERR_TIMEOUT',
]
const OF_WRITES = ['ERR_FENCED', 'ERR_LAGGING', 'ERR_RESULT_LOST']
const OF_CALLS: { readonly [name in keyof NodeCalls]?: readonly string[] } = {
  execute: ['ERR_STALE', ...OF_WRITES],
  batch: OF_WRITES,
  begin: ['ERR_LAGGING', 'ERR_TX_ABORTED'],
  executeIn: ['ERR_TX_ABORTED'],
  end: ['ERR_TX_ABORTED', ...OF_WRITES],
  lock: ['ERR_LAGGING', 'ERR_RESULT_LOST'],
  release: ['ERR_LAGGING', 'ERR_RESULT_LOST'],
  once: OF_WRITES,
  enqueue: ['ERR_LAGGING', 'ERR_RESULT_LOST'],
}

const promised: ReadonlyMap<string, Promised> = new Map(
  [...readFileSync(PAGE, 'utf8').matchAll(ROW)].map(([, code, retry, outcome]) => {
    const outcomes = String(outcome).trim() === '–' ? [] : String(outcome).split(/, | or /)
    return [String(code), { retry: String(retry), outcomes: outcomes.map((one) => one.trim()) }]
  }),
)

/** What is wrong with an error that a caller of `method` was told by the product; null if right. */
export function judgeError(
  method: keyof NodeCalls,
  { code, outcome, retryable, message }: RemoteError,
): string | null {
  const what = `a caller of ${method} was told "${message}"`
  const row = promised.get(code)
  if (row === undefined) return `${what}, and docs/errors.md has no ${code}`
  if (!OF_ANY.includes(code) && !OF_CALLS[method]?.includes(code)) {
    return `${what}: no such call is promised ${code}`
  }
  if (row.outcomes.length > 0 && !row.outcomes.includes(String(outcome))) {
    return `${what}: ${code} never has the outcome ${outcome}`
  }
  if (row.retry !== 'depends' && retryable !== (row.retry === 'yes')) {
    return `${what}: of ${code} retryable is never ${retryable}`
  }
  return null
}
