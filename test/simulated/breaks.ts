import type { AnyRule } from './invariants.ts'
import type { LifeOptions } from './life.ts'
import { LEASED_SHAPE, POWER_SHAPE } from './shape.ts'

/** What safety rests on, taken away from lives. */
export interface Break {
  readonly life: Pick<LifeOptions, 'skipsSync' | 'leases' | 'shape'>
  /** Which must then break: others may as well, and are not what is looked for. */
  readonly rule: AnyRule
  readonly what: string
}

const STALE = { rule: 'strong reads', what: 'a stale strong read' } as const

/** By what `--break` calls them. */
export const BREAKS: Readonly<Record<string, Break>> = {
  'no-fsync': {
    life: { skipsSync: true, shape: POWER_SHAPE },
    rule: 'durability',
    what: 'a lost write',
  },
  promises: { life: { leases: 'unkept', shape: LEASED_SHAPE }, ...STALE },
  restarts: { life: { leases: 'forgotten', shape: LEASED_SHAPE }, ...STALE },
  // Where nothing else is in trouble, this takes a hundred lives to show.
  clocks: { life: { leases: 'drifting' }, ...STALE },
}
