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
  readonly isGood: boolean
  readonly figures: Readonly<Record<string, number | string>>
  readonly found?: readonly Finding[]
}
