import { ColmenaError } from '../index.ts'
import type { Controls } from './protocol.ts'

const RATE_MAX = 500
const BREAK_SECONDS_MIN = 2
const BREAK_SECONDS_MAX = 600

export const CONTROLS_AT_FIRST: Controls = Object.freeze({
  ratePerSecond: 0,
  breakEverySeconds: 0,
  isPaused: false,
})

/** The controls with a change made to them. @throws ColmenaError ERR_INVALID_ARGUMENT */
export function changeControls(controls: Controls, change: unknown): Controls {
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    throw invalid('controls are an object, such as { "ratePerSecond": 200 }')
  }
  for (const key of Object.keys(change)) {
    if (!(key in CONTROLS_AT_FIRST)) {
      throw invalid(`there is no control '${key}', only ${Object.keys(controls).join(', ')}`)
    }
  }
  const changed = { ...controls, ...change }
  const { ratePerSecond, breakEverySeconds, isPaused } = changed
  if (!isBetween(ratePerSecond, 0, RATE_MAX)) {
    throw invalid(`ratePerSecond is ${show(ratePerSecond)}; it can be 0 to ${RATE_MAX}`)
  }
  const isOff = breakEverySeconds === 0
  if (!isOff && !isBetween(breakEverySeconds, BREAK_SECONDS_MIN, BREAK_SECONDS_MAX)) {
    throw invalid(
      `breakEverySeconds is ${show(breakEverySeconds)}; it can be 0 for never, or ` +
        `${BREAK_SECONDS_MIN} to ${BREAK_SECONDS_MAX}`,
    )
  }
  if (typeof isPaused !== 'boolean') {
    throw invalid(`isPaused is ${show(isPaused)}; it can be true or false`)
  }
  return changed
}

function isBetween(value: unknown, min: number, max: number): boolean {
  return typeof value === 'number' && value >= min && value <= max
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function invalid(message: string): ColmenaError {
  return new ColmenaError('ERR_INVALID_ARGUMENT', message)
}
