/** A moment, as long ago or ahead as it is; the exact one for whoever points at it. */
import type { JSX } from 'preact'
import { formatExact, formatSpan } from './format.ts'

interface WhenProps {
  readonly at: number
  readonly now: number
  /** Said, not compared: the clock that set it may be a little ahead of this one. */
  readonly isAhead?: boolean
}

export function When({ at, now, isAhead = false }: WhenProps): JSX.Element {
  return (
    <time dateTime={new Date(at).toISOString()} title={formatExact(at)}>
      {isAhead ? `in ${formatSpan(at - now)}` : `${formatSpan(now - at)} ago`}
    </time>
  )
}
