import { ColmenaError } from '../base/errors.ts'
import { nearestName } from './nearest.ts'
import { OPTION_DEFAULTS, type OpenOptions } from './options.ts'

type OptionName = keyof OpenOptions

export function checkBoolean(
  options: Record<string, unknown>,
  key: OptionName,
): boolean | undefined {
  const value = options[key]
  if (value === undefined || typeof value === 'boolean') return value
  throw invalid(`${key} is ${show(value)}; it must be true or false`)
}

export function checkInteger(
  options: Record<string, unknown>,
  key: OptionName,
  min: number,
  max: number,
): number {
  const value = options[key] ?? OPTION_DEFAULTS[key]
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw invalid(`${key} is ${show(value)}; it must be a whole number from ${min} to ${max}`)
}

export function checkChoice<Choice extends string>(
  options: Record<string, unknown>,
  key: OptionName,
  choices: readonly Choice[],
): Choice {
  const value = options[key] ?? OPTION_DEFAULTS[key]
  if (choices.includes(value as Choice)) return value as Choice
  const list = choices.map((choice) => `'${choice}'`).join(', ')
  const nearest = typeof value === 'string' ? nearestName(value, choices) : undefined
  const hint = nearest === undefined ? '' : ` (is '${nearest}' meant?)`
  throw invalid(`${key} is ${show(value)}; it must be one of ${list}${hint}`)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isString(value: unknown): value is string {
  return typeof value === 'string'
}

/** Beyond it a timer fires at once. */
export const TIMER_MS_MAX = 0x7fff_ffff

/** The value as a message can show it: short, and never throwing. */
export function show(value: unknown): string {
  if (value === undefined) return 'missing'
  const text =
    typeof value === 'string'
      ? `'${value}'`
      : String(Object(value) === value ? typeof value : value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

export function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
}
