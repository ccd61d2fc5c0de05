import type { Cluster } from './cluster.ts'
import type { SimulatedProcess } from './process.ts'
import type { SeededRandom } from './random.ts'
import { drawSettings, type SettingsBounds } from './settings.ts'

/** One thing that goes wrong, and ends by itself: a life without it is otherwise the same. */
type Strike = (cluster: Cluster, random: SeededRandom) => void

export const STRIKE_KINDS = [
  'crash',
  'crash of the leader',
  'crash of all',
  'isolation',
  'one-way cut',
  'split',
  'bridge',
  'slow wires',
  'broken wires',
  'pause',
  'looking dead',
  'calendar',
  'transfer',
  'stalled disk',
  'failing disk',
  'full disk',
  'orderly restart',
  'rolling restart',
  'removal',
  'demotion',
  'wipe',
  'rot',
  'corner',
] as const

export type StrikeKind = (typeof STRIKE_KINDS)[number]

const strikes: Record<StrikeKind, Strike> = {
  crash: (cluster, random) => {
    cluster.crash(random.pick(cluster.alive), random.chance(0.5), random.below(6_000))
  },
  'crash of the leader': (cluster, random) => {
    const victim = cluster.leader ?? random.pick(cluster.alive)
    cluster.crash(victim, random.chance(0.5), random.below(3_000))
  },
  'crash of all': (cluster, random) => {
    for (const process of cluster.alive) {
      cluster.crash(process, random.chance(0.5), random.below(1_000))
    }
  },
  isolation: (cluster, random) => {
    const victim = random.pick([
      cluster.leader ?? random.pick(cluster.alive),
      random.pick(cluster.alive),
    ])
    const isDeaf = random.chance(0.3)
    const lastingMs = drawLasting(random)
    for (const other of othersThan(cluster, victim)) {
      cutFor(cluster, lastingMs, victim, other)
      if (!isDeaf || random.chance(0.5)) cutFor(cluster, lastingMs, other, victim)
    }
  },
  'one-way cut': (cluster, random) => {
    const from = random.pick(cluster.alive)
    const to = random.pick(othersThan(cluster, from))
    cutFor(cluster, drawLasting(random), from, to)
  },
  split: (cluster, random) => {
    const [some, others] = divide(cluster.alive, random)
    separate(cluster, drawLasting(random), some, others)
  },
  /** Two halves that both reach one node, and not each other. */
  bridge: (cluster, random) => {
    const bridge = random.pick(cluster.alive)
    const [some, others] = divide(othersThan(cluster, bridge), random)
    separate(cluster, drawLasting(random), some, others)
  },
  'slow wires': (cluster, random) => {
    const from = random.pick(cluster.alive)
    const lastingMs = drawLasting(random)
    const slowerMs = random.pick([20, 200, 1_500])
    for (const to of othersThan(cluster, from)) {
      if (random.chance(0.3)) continue
      const [here, there] = [addressOf(from), addressOf(to)]
      cluster.timeline.plan(lastingMs, cluster.network.slow(here, there, slowerMs))
    }
  },
  'broken wires': (cluster, random) => {
    const victim = random.pick(cluster.alive)
    const other = random.pick(othersThan(cluster, victim))
    const everyMs = random.between(50, 300)
    for (let time = random.between(1, 10); time > 0; time -= 1) {
      cluster.later(time * everyMs, () => victim.resetLink(other.memberId))
    }
  },
  pause: (cluster, random) => {
    const kind = random.pick(['stall', 'stop', 'sleep'] as const)
    const victim = random.pick([
      cluster.leader ?? random.pick(cluster.alive),
      random.pick(cluster.alive),
    ])
    victim.hold(kind, 100 + random.below(3_000))
  },
  'looking dead': (cluster, random) => {
    const victim = cluster.leader ?? random.pick(cluster.alive)
    for (const other of othersThan(cluster, victim)) victim.resetLink(other.memberId)
    victim.hold('stall', 100 + random.below(2_500))
  },
  calendar: (cluster, random) => {
    const { clock } = random.pick(cluster.alive)
    clock.step(random.pick([-1, 1]) * random.between(20, 60_000))
  },
  transfer: (cluster, random) => {
    const to = random.pick([null, random.pick(cluster.alive).name])
    random.pick(cluster.alive).request({ method: 'transferLeadership', to })
  },
  'stalled disk': (cluster, random) => {
    random.pick(cluster.alive).disk.stall(100 + random.below(4_000))
  },
  'failing disk': (cluster, random) => {
    random.pick(cluster.alive).disk.break()
  },
  'full disk': (cluster, random) => {
    const { disk } = random.pick(cluster.alive)
    // It may end whoever meets it, at any time: too many of those who then forget.
    if (cluster.options.shape.hasRelaxed) return
    disk.fill(random.below(24 * 1024))
    cluster.timeline.plan(drawLasting(random), () => disk.empty())
  },
  'orderly restart': (cluster, random) => {
    const victim = random.pick(cluster.alive)
    victim.settings = drawSettings(random, boundsOf(cluster))
    victim.close()
  },
  'rolling restart': (cluster, random) => {
    for (const [at, process] of cluster.alive.entries()) {
      cluster.later(at * random.between(300, 2_000), () => {
        process.settings = drawSettings(random.stream(String(at)), boundsOf(cluster))
        process.close()
      })
    }
  },
  removal: (cluster, random) => {
    const victim = random.pick(cluster.alive)
    if (!cluster.mayLose(victim)) return
    cluster.expectRemoval(victim)
    const asked = random.pick(cluster.alive)
    asked.request({ method: 'changeMember', change: 'remove', nodeId: victim.name })
  },
  demotion: (cluster, random) => {
    const change = random.pick(['demote', 'promote'] as const)
    const nodeId = random.pick(cluster.alive).name
    random.pick(cluster.alive).request({ method: 'changeMember', change, nodeId })
  },
  wipe: (cluster, random) => {
    const victim = random.pick(cluster.alive)
    if (cluster.mayLose(victim)) cluster.wipe(victim, random.below(4_000))
  },
  rot: (cluster, random) => {
    const victim = random.pick(cluster.alive)
    if (!victim.isReady || !cluster.mayLose(victim)) return
    const place = victim.durable.rottable(random)
    if (place === null) return
    victim.isRotten = true
    victim.disk.flipBit(place.path, random.between(place.from, place.to - 1), random.below(8))
  },
  /**
   * One member hears nothing of the leader and wants to lead, which it could, as nothing is written
   * meanwhile. Another one is killed and comes back, and the leader learns of nothing: its engine
   * stands still.
   */
  corner: (cluster, random) => {
    const leader = cluster.leader ?? random.pick(cluster.alive)
    const [apart, killed = apart] = shuffle(othersThan(cluster, leader), random)
    if (apart === undefined || killed === undefined) return
    const lastingMs = drawLasting(random)
    cutFor(cluster, lastingMs, leader, apart)
    cutFor(cluster, lastingMs, apart, leader)
    const afterMs = 1_000 + random.below(2_000)
    cluster.quietUntilMs = cluster.timeline.nowMs + afterMs
    cluster.later(afterMs, () => {
      leader.hold('stall', 1_500)
      cluster.crash(killed, false, 0)
    })
  },
}

export function strike(cluster: Cluster, kind: StrikeKind, random: SeededRandom): void {
  if (cluster.alive.length > 1) strikes[kind](cluster, random)
}

function drawLasting(random: SeededRandom): number {
  return random.pick([200, 1_000, 3_000, 10_000]) * (0.5 + random.below(1_000) / 1_000)
}

function addressOf(process: SimulatedProcess): string {
  return process.options.address
}

function othersThan(cluster: Cluster, process: SimulatedProcess): readonly SimulatedProcess[] {
  return cluster.alive.filter((other) => other !== process)
}

function cutFor(
  { timeline, network }: Cluster,
  lastingMs: number,
  from: SimulatedProcess,
  to: SimulatedProcess,
): void {
  timeline.plan(lastingMs, network.cut(addressOf(from), addressOf(to)))
}

function separate(
  cluster: Cluster,
  lastingMs: number,
  some: readonly SimulatedProcess[],
  others: readonly SimulatedProcess[],
): void {
  for (const one of some) {
    for (const other of others) {
      cutFor(cluster, lastingMs, one, other)
      cutFor(cluster, lastingMs, other, one)
    }
  }
}

function divide<Item>(items: readonly Item[], random: SeededRandom): [Item[], Item[]] {
  const sides: [Item[], Item[]] = [[], []]
  for (const item of items) sides[random.below(2) as 0 | 1].push(item)
  return sides
}

function shuffle<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  const left = [...items]
  return items.map(() => left.splice(random.below(left.length), 1)[0] as Item)
}

function boundsOf({ options: { shape } }: Cluster): SettingsBounds {
  return { hasLeases: shape.leases !== null, hasRelaxed: shape.hasRelaxed }
}
