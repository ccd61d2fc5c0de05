/** Options that nodes are started with anew: members of one cluster may differ in all of these. */
import type { Preset, Rig, Seat } from './rig.ts'

const KIB = 1024
const MIB = 1024 * KIB

interface Named {
  readonly name: string
  readonly preset: Preset
}

const PRESETS: readonly Named[] = [
  { name: 'as at first', preset: {} },
  {
    name: 'slow heartbeats',
    preset: { heartbeatMs: 100, electionTimeoutMs: 800, nonDeterminism: 'reject' },
  },
  {
    name: 'fast heartbeats',
    preset: { heartbeatMs: 40, electionTimeoutMs: 300, slowMs: 50, maxClockSkewMs: 1_000 },
  },
  {
    name: 'a large log',
    preset: {
      logSegmentBytes: MIB,
      logRetainBytes: 4 * MIB,
      snapshotBytesPerSecond: 2 * MIB,
      transactionIdleMs: 1_000,
    },
  },
  // Members that promise nothing back no lease, so that some may have it and others not.
  { name: 'strong by lease', preset: { strongReads: 'lease', changesBytesMax: 64 * KIB } },
]

const RELAXED: Named = { name: 'relaxed', preset: { durability: 'relaxed' } }
/** One rolling restart of so many makes a member relaxed. */
const RELAXED_EVERY = 2

/** One member at most is relaxed: killed it forgets, and a majority must be left that does not. */
export async function choosePreset(rig: Rig, seat: Seat, choice: number): Promise<Named> {
  const isWanted = choice % RELAXED_EVERY === 0 && choice % rig.count === seat.at
  if (isWanted && (await rig.mayForget(seat))) return RELAXED
  return PRESETS[(choice + seat.at) % PRESETS.length] as Named
}
