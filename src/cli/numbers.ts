import { usageError } from './failure.ts'

/** @throws CliError that names the option, the value and what it may be. */
export function toInteger(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (/^-?\d+$/.test(text.trim()) && value >= min && value <= max) return value
  throw usageError(`${name} is '${text}'; it must be a whole number from ${min} to ${max}`)
}

export function toPort(name: string, text: string): number {
  return toInteger(name, text, 0, 65_535)
}
