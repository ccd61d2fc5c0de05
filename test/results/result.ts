import type { Circumstances } from './circumstances.ts'

export const KINDS = ['simulate', 'chaos', 'mutations', 'soak', 'conformance'] as const
export type Kind = (typeof KINDS)[number]

/** A mistake in our own code, and what found it. */
export interface Finding {
  readonly id: string
  readonly breaks: string
  readonly by: string
  /** Null where a test is to find it. */
  readonly seed: number | null
  readonly isCaught: boolean
}

export interface Result extends Circumstances {
  readonly kind: Kind
  /** What a user types for it. */
  readonly command: string
  /** When it began, in UTC. */
  readonly at: string
  readonly seconds: number
  /** Never of a run that was broken off. */
  readonly isGood: boolean
  /** What ended it before its time. */
  readonly brokenOff?: string
  readonly figures: Readonly<Record<string, number | string>>
  readonly found?: readonly Finding[]
}

type Check = (value: unknown) => boolean

const isText: Check = (value) => typeof value === 'string'
const isFlag: Check = (value) => typeof value === 'boolean'
const isNumber: Check = (value) => typeof value === 'number' && Number.isFinite(value)

const RESULT: Readonly<Record<keyof Result, Check>> = {
  kind: (value) => KINDS.some((kind) => kind === value),
  command: isText,
  at: (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\dZ$/.test(value),
  commit: isText,
  isClean: isFlag,
  node: isText,
  machine: isText,
  seconds: isNumber,
  isGood: isFlag,
  brokenOff: (value) => value === undefined || isText(value),
  figures: (value) => {
    return isObject(value) && Object.values(value).every((one) => isNumber(one) || isText(one))
  },
  found: (value) => {
    return value === undefined || (Array.isArray(value) && value.every((one) => fits(one, FINDING)))
  },
}

const FINDING: Readonly<Record<keyof Finding, Check>> = {
  id: isText,
  breaks: isText,
  by: isText,
  seed: (value) => value === null || isNumber(value),
  isCaught: isFlag,
}

export function isResult(value: unknown): value is Result {
  return fits(value, RESULT)
}

function fits(value: unknown, checks: Readonly<Record<string, Check>>): boolean {
  if (!isObject(value)) return false
  return (
    Object.keys(value).every((name) => Object.hasOwn(checks, name)) &&
    Object.entries(checks).every(([name, check]) => check(value[name]))
  )
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
