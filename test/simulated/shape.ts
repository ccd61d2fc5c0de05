import type { LeaseMode, ProcessSettings } from './process.ts'
import type { SeededRandom } from './random.ts'
import { drawSettings, SETTINGS } from './settings.ts'
import { STRIKE_KINDS, type StrikeKind } from './strikes.ts'

/** What one life is like, drawn from its seed: no two lives are tormented in the same way. */
export interface Shape {
  readonly nodes: number
  readonly latencyMsMax: number
  readonly resetChance: number
  readonly impatience: number
  readonly hasDatagrams: boolean
  readonly strikes: readonly StrikeKind[]
  /** Between two strikes. */
  readonly paceMs: number
  readonly leases: LeaseMode | null
  /** Some writes are so large that not everything fits into one message. */
  readonly hasLargeWrites: boolean
  /** Databases fail, and processes die in the midst of what they apply. */
  readonly hasTrouble: boolean
  /** Some nodes acknowledge before their disk has it. */
  readonly hasRelaxed: boolean
  /** By node: how it is opened first, in turn. */
  readonly settings: readonly ProcessSettings[]
}

/** Three nodes to which nothing happens by itself. */
export const CALM_SHAPE: Shape = {
  nodes: 3,
  latencyMsMax: 5,
  resetChance: 0,
  impatience: 0.2,
  hasDatagrams: false,
  strikes: [],
  paceMs: 1_000,
  leases: null,
  hasLargeWrites: false,
  hasTrouble: false,
  hasRelaxed: false,
  settings: [SETTINGS],
}

/** Where it matters what is on disks. */
export const POWER_SHAPE: Partial<Shape> = {
  ...CALM_SHAPE,
  strikes: ['crash', 'crash of the leader', 'crash of all'],
  paceMs: 300,
}

/** Where leases are what matters. */
export const LEASED_SHAPE: Partial<Shape> = {
  ...CALM_SHAPE,
  strikes: ['corner', 'looking dead', 'transfer', 'pause', 'crash of the leader', 'isolation'],
  paceMs: 300,
}

/** A strike of a kind that a life lacks does not happen: so many more are drawn. */
const KINDS_SHARE = 0.6

export function drawShape(
  random: SeededRandom,
  without: readonly StrikeKind[],
  leases: LeaseMode | null | undefined,
): Shape {
  const draw = (name: string): SeededRandom => random.stream(name)
  const nodes = draw('nodes').pick([2, 3, 3, 3, 3, 4, 5, 5])
  const drawnLeases = draw('leases').chance(0.25) ? 'kept' : null
  const hasRelaxed = draw('relaxed').chance(0.2)
  const hasLeases = (leases === undefined ? drawnLeases : leases) !== null
  return {
    nodes,
    latencyMsMax: draw('latency').pick([1, 5, 40]),
    resetChance: draw('resets').pick([0, 0.0005, 0.01]),
    impatience: draw('impatience').pick([0.2, 0.2, 0.01]),
    hasDatagrams: draw('datagrams').chance(0.15),
    strikes: STRIKE_KINDS.filter(
      (kind) => draw(`strikes/${kind}`).chance(KINDS_SHARE) && !without.includes(kind),
    ),
    paceMs: draw('pace').pick([150, 500, 2_000]),
    leases: leases === undefined ? drawnLeases : leases,
    hasLargeWrites: draw('large').chance(0.1),
    hasTrouble: draw('trouble').chance(0.7),
    hasRelaxed,
    settings: Array.from({ length: nodes }, (_, at) =>
      drawSettings(draw(`settings/${at}`), { hasLeases, hasRelaxed }),
    ),
  }
}

/** A life's shape in a line. */
export function describeShape(shape: Shape): string {
  const { nodes, latencyMsMax, resetChance, impatience, paceMs, strikes, leases } = shape
  const parts = [
    `${nodes} nodes`,
    `wires of up to ${latencyMsMax} ms`,
    resetChance > 0 ? `resets ${resetChance}` : '',
    impatience < 0.1 ? 'patient sockets' : '',
    shape.hasDatagrams ? 'datagrams' : '',
    shape.hasTrouble ? 'failing databases' : '',
    shape.hasLargeWrites ? 'large writes' : '',
    shape.hasRelaxed ? 'relaxed nodes' : '',
    leases === null ? '' : `leases ${leases}`,
    `a strike each ${paceMs} ms of: ${strikes.join(', ') || 'nothing'}`,
  ]
  return parts.filter((part) => part !== '').join('; ')
}
