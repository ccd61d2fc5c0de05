import type { RestorePoint } from '../index.ts'
import { usageError } from './failure.ts'
import { toInteger } from './numbers.ts'

/** With a zone: what a time without one means depends on the machine. */
const TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d))?$/

/** @throws CliError */
export function toTime(flag: string, text: string): RestorePoint {
  const timeMs = TIME.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isFinite(timeMs)) return { timeMs }
  throw usageError(
    `${flag} is '${text}'; it must be a time with its zone, such as 2026-11-28T10:00:00Z`,
  )
}

/** @throws CliError */
export function toIndex(flag: string, text: string): RestorePoint {
  return { index: toInteger(flag, text, 1, Number.MAX_SAFE_INTEGER) }
}
