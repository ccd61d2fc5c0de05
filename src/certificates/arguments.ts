import { ColmenaError } from '../index.ts'

const DAYS_MAX = 36_500

export function invalid(message: string, cause?: unknown): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message, { cause })
}

export function checkDays(days: unknown): number {
  if (Number.isSafeInteger(days) && (days as number) >= 1 && (days as number) <= DAYS_MAX) {
    return days as number
  }
  throw invalid(`days is ${String(days)}; it must be a whole number from 1 to ${DAYS_MAX}`)
}
