/** A moment, as long ago as it is; the exact one for whoever points at it. */
import type { JSX } from 'preact'
import { formatExact, formatSpan } from './format.ts'

export function When({ at, now }: { at: number; now: number }): JSX.Element {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
      {formatSpan(now - at)} ago
    </time>
  )
}
