import { ColmenaError } from '../index.ts'

export function invalidOption(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_OPTION', message)
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

/** Options as an object of these keys. @throws ColmenaError ERR_INVALID_OPTION */
export function checkKeys(options: unknown, keys: readonly string[], of: string): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw invalidOption(`the options of ${of} are an object, not ${show(options)}`)
  }
  const unknown = Object.keys(options).find((key) => !keys.includes(key))
  if (unknown === undefined) return
  throw invalidOption(`${of} has no option '${unknown}'; it has ${keys.join(', ')}`)
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkSwitch(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw invalidOption(`${name} is ${show(value)}; it must be true or false`)
}

/** @throws ColmenaError ERR_INVALID_OPTION */
export function checkWhole(name: string, value: unknown, least: number, most: number): number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) {
    return value as number
  }
  const range = `a whole number from ${least} to ${Math.floor(most)}`
  throw invalidOption(`${name} is ${show(value)}; it must be ${range}`)
}
