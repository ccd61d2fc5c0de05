import { ColmenaError } from '../index.ts'

export function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}

/** Any value as an error shows it: short, on one line, and without running its code. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 100))
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) ? 'an array' : 'an object'
  }
  return typeof value === 'function' ? 'a function' : String(value)
}

/** Options that were left out are none. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function asOptions<T extends object>(options: T | undefined, of: string): T {
  if (options === undefined) return {} as T
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw invalid(`the options of ${of} are an object, not ${show(options)}`)
}

/** What every call takes. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalid(`signal is an AbortSignal, not ${show(signal)}`)
}

/** Options as an object of these keys. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkKeys(options: unknown, keys: readonly string[], of: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalid(`the options of ${of} are an object, not ${show(options)}`)
  }
  const unknown = Object.keys(options).find((key) => !keys.includes(key))
  if (unknown === undefined) return
  throw invalid(`${of} has no option '${unknown}'; it has ${keys.join(', ')}`)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkWhole(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number
  }
  throw invalid(`${name} is a whole number from ${least} to ${most}, not ${show(value)}`)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkText(name: string, value: unknown, most: number): string {
  if (typeof value === 'string' && value.isWellFormed()) {
    if (value.length >= 1 && value.length <= most) return value
  }
  throw invalid(`${name} is well-formed text of 1 to ${most} characters, not ${show(value)}`)
}
