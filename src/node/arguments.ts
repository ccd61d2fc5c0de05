import { ColmenaError } from '../base/errors.ts'
import { checkKeys } from './nearest.ts'

/** What calls that only wait take. */
export interface SignalOptions {
  readonly signal?: AbortSignal | undefined
}

type Refuse = (message: string) => ColmenaError

const SHOWN_CHARS_MAX = 200

/** Any value as an error shows it: on one line, bounded, and without running its code. */
export function show(value: unknown): string {
  const text = showWhole(value)
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text
}

function showWhole(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return String(value)
  return Array.isArray(value) ? 'an array' : 'an object'
}

/** @throws ColmenaError what `refuse` makes of it */
export function checkSignal(signal: unknown, refuse: Refuse = invalid): AbortSignal | undefined {
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw refuse('signal must be an AbortSignal')
}

/** The signal of a call that takes nothing else. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkSignalOptions(options: SignalOptions, of: string): AbortSignal | undefined {
  checkKeys(options, ['signal'], invalid, ` of ${of}`)
  return checkSignal(options.signal)
}

/** @throws ColmenaError ERR_INVALID_ARGUMENT */
export function checkNodeId(nodeId: unknown): void {
  if (typeof nodeId === 'string') return
  throw invalid(`nodeId is ${show(nodeId)}; it must be the name of a member`)
}

export function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
