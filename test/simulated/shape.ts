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

const { leases: _, ...CALM_BUT_LEASES } = CALM_SHAPE

/** Where leases are what matters: how they are kept is for whoever lives it to say. */
export const LEASED_SHAPE: Omit<Shape, 'leases'> = {
  ...CALM_BUT_LEASES,
  strikes: ['corner', 'looking dead', 'transfer', 'pause', 'crash of the leader', 'isolation'],
  paceMs: 300,
}

/** A strike of a kind that a life lacks does not happen: so many more are drawn. */
const KINDS_SHARE = 0.6

export function drawShape(random: SeededRandom, leases: LeaseMode | null | undefined): Shape {
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
    strikes: STRIKE_KINDS.filter((kind) => draw(`strikes/${kind}`).chance(KINDS_SHARE)),
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

/** What a field of JSON may be, in words too. */
interface Field {
  readonly allowed: string
  readonly isAllowed: (value: unknown) => boolean
}

type Fields<Thing> = Readonly<Record<keyof Thing, Field>>

/** A little more than what is drawn, and nothing that would break rules by itself. */
const FIELDS: Fields<Shape> = {
  nodes: whole(2, 5),
  latencyMsMax: number(0.2, 100),
  resetChance: number(0, 0.02),
  impatience: number(0, 1),
  hasDatagrams: oneOf(true, false),
  strikes: {
    allowed: `a list of ${STRIKE_KINDS.join(', ')}`,
    isAllowed: (value) =>
      Array.isArray(value) && value.every((kind) => STRIKE_KINDS.includes(kind)),
  },
  paceMs: whole(50, 60_000),
  // What they rest on is broken by `--break` alone.
  leases: oneOf(null, 'kept'),
  hasLargeWrites: oneOf(true, false),
  hasTrouble: oneOf(true, false),
  hasRelaxed: oneOf(true, false),
  settings: {
    allowed: 'a list of how nodes are opened, at least one',
    isAllowed: (value) => Array.isArray(value) && value.length > 0,
  },
}

const SETTINGS_FIELDS: Fields<ProcessSettings> = {
  heartbeatMs: whole(50, 200),
  electionTimeoutMs: whole(600, 2_000),
  segmentBytes: whole(8 * 1024, 1024 * 1024),
  logRetainBytes: whole(8 * 1024, 1024 * 1024),
  durability: oneOf('full', 'relaxed'),
}

/** Of the JSON that somebody typed. @throws Error that says which field may not be what it is. */
export function parseShape(text: string): Partial<Shape> {
  const shape = parseJson(text)
  if (!isObject(shape)) throw new Error(`a shape is an object of JSON, not ${JSON.stringify(text)}`)
  checkFields('', shape, FIELDS)
  const { settings = [], leases } = shape as Partial<Shape>
  for (const [at, one] of settings.entries()) {
    checkFields(`settings[${at}]`, one, SETTINGS_FIELDS)
    const lacking = Object.keys(SETTINGS_FIELDS).find((name) => !Object.hasOwn(one, name))
    if (lacking !== undefined) throw new Error(`settings[${at}] lacks ${lacking}`)
    if (leases === null || one.electionTimeoutMs === SETTINGS.electionTimeoutMs) continue
    const name = `settings[${at}].electionTimeoutMs`
    const { electionTimeoutMs } = SETTINGS
    throw new Error(
      `${name} is ${electionTimeoutMs} where leases may be kept, not ${one.electionTimeoutMs}`,
    )
  }
  return shape
}

function checkFields(where: string, value: unknown, fields: Readonly<Record<string, Field>>): void {
  if (!isObject(value)) throw new Error(`${where} is an object, not ${JSON.stringify(value)}`)
  for (const [name, inner] of Object.entries(value)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field === undefined) {
      const known = Object.keys(fields).join(', ')
      throw new Error(`${where || 'a shape'} has no "${name}", only ${known}`)
    }
    if (field.isAllowed(inner)) continue
    const path = where === '' ? name : `${where}.${name}`
    throw new Error(`${path} is ${field.allowed}, not ${JSON.stringify(inner)}`)
  }
}

function whole(from: number, to: number): Field {
  return {
    allowed: `a whole number from ${from} to ${to}`,
    isAllowed: (value) => Number.isInteger(value) && number(from, to).isAllowed(value),
  }
}

function number(from: number, to: number): Field {
  return {
    allowed: `a number from ${from} to ${to}`,
    isAllowed: (value) => typeof value === 'number' && value >= from && value <= to,
  }
}

function oneOf(...values: readonly (string | boolean | null)[]): Field {
  return {
    allowed: values.map((value) => JSON.stringify(value)).join(' or '),
    isAllowed: (value) => values.some((one) => one === value),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
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
