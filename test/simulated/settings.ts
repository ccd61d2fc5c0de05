import type { ProcessSettings } from './process.ts'
import type { SeededRandom } from './random.ts'

export const SETTINGS: ProcessSettings = {
  heartbeatMs: 100,
  electionTimeoutMs: 1_000,
  segmentBytes: 8 * 1024,
  logRetainBytes: 8 * 1024,
  durability: 'full',
}

export interface SettingsBounds {
  readonly hasLeases: boolean
  readonly hasRelaxed: boolean
}

/** How an operator may open a node; leases want one election timeout everywhere. */
export function drawSettings(random: SeededRandom, bounds: SettingsBounds): ProcessSettings {
  const { hasLeases, hasRelaxed } = bounds
  const durability = random.chance(0.5) && hasRelaxed ? 'relaxed' : 'full'
  if (random.chance(0.5)) return { ...SETTINGS, durability }
  const electionTimeoutMs = random.pick([600, 1_000, 1_000, 2_000])
  return {
    heartbeatMs: random.pick([50, 100, 200]),
    electionTimeoutMs: hasLeases ? SETTINGS.electionTimeoutMs : electionTimeoutMs,
    segmentBytes: random.pick([8, 8, 32]) * 1024,
    logRetainBytes: random.pick([8, 8, 128]) * 1024,
    durability,
  }
}
