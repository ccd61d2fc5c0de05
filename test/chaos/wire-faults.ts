import type { Rig } from './rig.ts'
import type { Fault, LANES } from './schedule.ts'
import type { Rule } from './wires.ts'

type WireKind = (typeof LANES.wires)[number]

const CUT: Rule = { isCut: true }
const FLAP_MS = 200
const LATENCIES_MS = [10, 40, 120]
const RATES = [30_000, 200_000, 1_000_000]

export type Hold = (ms: number) => Promise<void>
type Begin = (rig: Rig, fault: Fault, hold: Hold) => Promise<string>

/** Each resolves once it has begun, or for the whole of its time; with what it did. */
export const WIRE_FAULTS: Readonly<Record<WireKind, Begin>> = {
  'isolate-one': async (rig, { choice }) => isolate(rig, choice % rig.count),
  'isolate-leader': async (rig, { choice }) => isolate(rig, await leaderOf(rig, choice)),
  halves: async (rig, { choice }) => {
    const [few, many] = divide(rig, choice, Math.floor(rig.count / 2))
    cutBetween(rig, few, many)
    return `${nodes(few)} from ${nodes(many)}`
  },
  bridge: async (rig, { choice }) => {
    const bridge = choice % rig.count
    const others = all(rig).filter((at) => at !== bridge)
    const one = others.slice(0, others.length / 2)
    const other = others.slice(others.length / 2)
    cutBetween(rig, one, other)
    return `${nodes(one)} from ${nodes(other)}, not from ${nodes([bridge])}`
  },
  'one-way': async (rig, { choice }) => {
    const from = choice % rig.count
    const others = all(rig).filter((at) => at !== from)
    const deaf = choice % 2 === 0 ? others : others.slice(0, 1)
    for (const to of deaf) rig.wires.set(from, to, CUT)
    return `what ${nodes([from])} says to ${nodes(deaf)}`
  },
  flapping: async (rig, { choice, forMs }, hold) => {
    const leader = await leaderOf(rig, choice)
    const other = (leader + 1 + (choice % (rig.count - 1))) % rig.count
    for (let pastMs = 0; pastMs < forMs; pastMs += 2 * FLAP_MS) {
      if (choice % 2 === 0) rig.wires.reset(leader, other)
      else cutBetween(rig, [leader], [other])
      await hold(FLAP_MS)
      rig.wires.heal()
      await hold(FLAP_MS)
    }
    return `${nodes([leader])} and ${nodes([other])}`
  },
  slow: async (rig, { choice }) => {
    const at = choice % rig.count
    const latencyMs = LATENCIES_MS[choice % 3] as number
    const bytesPerSecond = RATES[(choice >> 2) % 3] as number
    for (const other of all(rig)) {
      if (other === at) continue
      rig.wires.set(at, other, { latencyMs, bytesPerSecond })
      rig.wires.set(other, at, { latencyMs, bytesPerSecond })
    }
    return `${nodes([at])}: ${latencyMs} ms, ${bytesPerSecond} bytes a second`
  },
  'half-open': async (rig, { choice }) => {
    const at = choice % rig.count
    for (const other of all(rig)) if (other !== at) rig.wires.tear(at, other)
    return `all connections of ${nodes([at])}`
  },
}

function isolate(rig: Rig, at: number): string {
  const others = all(rig).filter((other) => other !== at)
  cutBetween(rig, [at], others)
  return nodes([at])
}

function cutBetween(rig: Rig, some: readonly number[], others: readonly number[]): void {
  for (const one of some) {
    for (const other of others) {
      rig.wires.set(one, other, CUT)
      rig.wires.set(other, one, CUT)
    }
  }
}

/** So many neighbours from a place on, and the rest. */
function divide(rig: Rig, choice: number, count: number): [number[], number[]] {
  const isFew = (at: number): boolean => (at - choice + 1_000 * rig.count) % rig.count < count
  return [all(rig).filter(isFew), all(rig).filter((at) => !isFew(at))]
}

/** Where nobody leads any node is as good. */
async function leaderOf(rig: Rig, choice: number): Promise<number> {
  return (await rig.leader())?.at ?? choice % rig.count
}

function all(rig: Rig): readonly number[] {
  return rig.seats.map(({ at }) => at)
}

export function nodes(places: readonly number[]): string {
  return places.map((at) => at + 1).join(', ')
}
