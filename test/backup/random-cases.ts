/**
 * A cluster lives through case after case: its leaders are killed and changed, its backups are
 * abandoned and begun anew, its target fails. After each case something is restored, and must be
 * what a node held at that entry.
 */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { Backup, type BackupOptions } from '../../src/backup/backup.ts'
import { REAL_CLOCK } from '../../src/backup/clock.ts'
import type { Wanted } from '../../src/backup/points.ts'
import { type ColmenaNode, isColmenaError } from '../../src/index.ts'
import { createTestCluster, type TestCluster } from '../../src/testing/testing.ts'
import { until } from '../processes/wait.ts'
import { SeededRandom } from '../simulated/random.ts'
import { type Fault, FaultyTarget, isDown } from './faulty-target.ts'
import { contentOfNode, createSchema, DATABASES, doOne } from './random-deeds.ts'
import { Model, type Point } from './random-model.ts'
import { readRestored, restoreByNode } from './random-restores.ts'
import { damagesOf } from './restored.ts'

export interface RandomForm {
  readonly cases: number
  readonly seed: number
  readonly progress: (line: string) => void
}

const OPTIONS: Omit<BackupOptions, 'targets'> = {
  syncIntervalMs: 20,
  snapshotIntervalMs: 500,
  retention: { keepMs: -1, keepCount: 40 },
  drills: { everyMs: 0 },
}
const PROGRESS_EVERY = 50
/** Deeds whose moments are restored to: snapshots before them may have gone. */
const POINTS_MAX = 150

/** What a backup writes to, as long as its process lives: then nothing of it arrives any more. */
class OwnTarget extends FaultyTarget {
  isCut = false

  constructor(shared: FaultyTarget) {
    super(shared.held)
    this.fault = async (deed, name, moment) => {
      if (this.isCut) isDown()
      await shared.fault(deed, name, moment)
      if (this.isCut) isDown()
    }
  }
}

interface Running {
  readonly backup: Backup
  readonly target: OwnTarget
}

class Lives {
  readonly target: FaultyTarget = new FaultyTarget()
  readonly model: Model = new Model()
  readonly counts: Record<string, number> = {}
  readonly #cluster: TestCluster
  readonly #random: SeededRandom
  readonly #running = new Map<ColmenaNode, Running>()
  /** Whoever was deposed, or killed, and goes on for a while. */
  readonly #strays: Running[] = []

  constructor(cluster: TestCluster, random: SeededRandom) {
    this.#cluster = cluster
    this.#random = random
  }

  async begin(): Promise<void> {
    for (const node of this.#cluster.nodes) this.#start(node)
    const leader = await this.#cluster.leader()
    await createSchema(leader)
    await this.#note(leader)
  }

  async liveOn(): Promise<void> {
    const event = this.#random.pick(EVENTS)
    this.#count(event)
    for (let deeds = this.#random.between(1, 4); deeds > 0; deeds -= 1) await this.#doOne()
    await this.#happens(event)
    for (let deeds = this.#random.between(0, 3); deeds > 0; deeds -= 1) await this.#doOne()
    this.target.fault = () => {}
  }

  /** Resolves once all that is known of is in the backup. */
  async untilShipped(): Promise<void> {
    const { index } = this.#newest
    await until('all is in the backup', async () => {
      const leader = await this.#cluster.leader()
      const running = this.#running.get(leader)
      await running?.backup.sync().catch(requireTyped)
      return (running?.backup.status().targets[0]?.lastIndex ?? 0) >= index
    })
  }

  async restore(): Promise<void> {
    const way = this.#random.pick(['latest', 'index', 'index', 'time', 'time', 'between'] as const)
    const isQuiet = this.model.points.length < 20 || this.#random.chance(0.7)
    if (isQuiet) {
      // Of a deed that was cut off nobody knows: what is there by now is what counts.
      await this.#note(await this.#cluster.leader())
      await this.untilShipped()
    }
    const shipped = isQuiet ? this.model.points : this.model.points.slice(0, -10)
    const point = this.#random.pick(shipped.slice(-POINTS_MAX))
    const wanted = this.#wanted(way, point)
    const restore = this.#random.chance(0.05) ? restoreByNode : readRestored
    try {
      const { index, content } = await restore(this.target, wanted)
      if (way === 'index') assert.equal(index, point.index)
      if (way === 'latest' && isQuiet) assert.ok(index >= this.#newest.index)
      if (way === 'time' && isQuiet) {
        assert.deepEqual(content, point.content, `${point.timeMs}, which is entry ${point.index}`)
      }
      const isKnown = this.model.check(index, content, way)
      this.#count(isKnown ? `${way} compared` : `${way} unknown`)
    } catch (error) {
      if (!this.#mayMiss(error, point, isQuiet)) throw error
      this.#count('not there')
    }
  }

  async end(): Promise<void> {
    await this.untilShipped()
    for (const { backup } of [...this.#running.values(), ...this.#strays]) await backup.close()
    const { content } = await readRestored(this.target, { kind: 'latest' })
    assert.deepEqual(content, this.#newest.content, 'all of it at the end')
    assert.deepEqual(await damagesOf(this.target), [])
  }

  get #newest(): Point {
    const point = this.model.points.at(-1)
    assert.ok(point !== undefined)
    return point
  }

  #wanted(way: 'latest' | 'index' | 'time' | 'between', point: Point): Wanted {
    if (way === 'latest') return { kind: 'latest' }
    if (way === 'time') return { kind: 'time', timeMs: point.timeMs }
    const index =
      way === 'index' ? point.index : this.#random.between(point.before + 1, point.index)
    return { kind: 'index', index }
  }

  /** What is before all snapshots is there no more; what is newest may not be there yet. */
  #mayMiss(error: unknown, point: Point, isQuiet: boolean): boolean {
    if (!isColmenaError(error) || error.code !== 'ERR_NOT_FOUND') return false
    const indexes = [...this.target.held.keys()].flatMap((name) => {
      return /snapshots\/(\d+)\/snapshot\.json$/.exec(name)?.slice(1).map(Number) ?? []
    })
    return !isQuiet || point.before < Math.min(...indexes)
  }

  #start(node: ColmenaNode): void {
    const target = new OwnTarget(this.target)
    this.#running.set(node, {
      backup: new Backup(node, { ...OPTIONS, targets: target }, REAL_CLOCK),
      target,
    })
  }

  async #doOne(): Promise<void> {
    const node = this.#random.pick(this.#cluster.nodes)
    try {
      await doOne(node, this.#random)
    } catch (error) {
      // What became of it the next one tells.
      requireTyped(error)
      this.#count('deeds failed')
      return
    }
    await this.#note(node)
  }

  async #note(node: ColmenaNode): Promise<void> {
    const { appliedIndex } = await node.status()
    this.model.add(appliedIndex, contentOfNode(node, DATABASES))
    // What is written next is of a later time.
    while (Date.now() <= this.#newest.timeMs) await turn()
  }

  async #happens(event: (typeof EVENTS)[number]): Promise<void> {
    const leader = await this.#cluster.leader()
    switch (event) {
      case 'nothing':
        return
      case 'transfer':
        return await leader.transferLeadership().catch(requireTyped)
      case 'kill the leader':
        return await this.#kill(leader)
      case 'kill a follower':
        return await this.#kill(await this.#cluster.follower())
      case 'kill in a deed': {
        const deed = doOne(this.#random.pick(this.#cluster.nodes), this.#random).catch(requireTyped)
        await this.#kill(leader)
        await deed
        return
      }
      case 'abandon':
        return await this.#abandon(leader)
      case 'isolate': {
        await this.#cluster.isolateLeader()
        await this.#cluster.leader()
        await this.#cluster.heal()
        return
      }
      default:
        this.target.fault = faultOf(event, this.#random.stream(`${this.model.points.length}`))
    }
  }

  /** What its backup has under way goes on, as what a network still carries does. */
  async #kill(node: ColmenaNode): Promise<void> {
    await this.#cluster.kill(node)
    const running = this.#running.get(node)
    this.#running.delete(node)
    if (running !== undefined) {
      running.target.isCut = this.#random.chance(0.7)
      this.#strays.push(running)
    }
    this.#start(await this.#cluster.restart(node))
  }

  /** As if its process had ended: nothing is put any more, and nobody else knows what it knew. */
  async #abandon(node: ColmenaNode): Promise<void> {
    const running = this.#running.get(node)
    if (running === undefined) return
    running.target.isCut = true
    await running.backup.close()
    this.#start(node)
  }

  #count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }
}

const EVENTS = [
  'nothing',
  'transfer',
  'kill the leader',
  'kill a follower',
  'kill in a deed',
  'abandon',
  'isolate',
  'down',
  'flaky',
  'ambiguous',
  'slow',
] as const

function faultOf(kind: 'down' | 'flaky' | 'ambiguous' | 'slow', random: SeededRandom): Fault {
  switch (kind) {
    case 'down':
      return isDown
    case 'flaky':
      return () => void (random.chance(0.2) && isDown())
    case 'ambiguous':
      return (_, __, moment) => void (moment === 'after' && random.chance(0.3) && isDown())
    case 'slow':
      return async () => {
        for (let turns = random.below(60); turns > 0; turns -= 1) await turn()
      }
  }
}

function requireTyped(error: unknown): void {
  assert.ok(isColmenaError(error), `an error of ours: ${(error as Error).stack}`)
}

/** @returns what was done, in lines */
export async function runRandomCases({ cases, seed, progress }: RandomForm): Promise<string[]> {
  const random = new SeededRandom(seed)
  await using cluster = await createTestCluster({ nodes: 3, logRetainBytes: 67_108_864 })
  const lives = new Lives(cluster, random)
  await lives.begin()
  for (let done = 1; done <= cases; done += 1) {
    try {
      await lives.liveOn()
      await lives.restore()
    } catch (error) {
      throw new Error(`case ${done} of seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
    if (done % PROGRESS_EVERY === 0) progress(`${done} of ${cases} cases`)
  }
  await lives.end()
  const { counts } = lives
  const compared = sum(counts, 'compared')
  assert.ok(compared >= cases / 3, `${compared} of ${cases} restores were compared`)
  const each = Object.entries(counts).map(([what, count]) => `${what} ${count}`)
  return [
    `${cases} cases of seed ${seed}: ${compared} restores compared`,
    each.toSorted().join(', '),
  ]
}

function sum(counts: Readonly<Record<string, number>>, end: string): number {
  const matching = Object.entries(counts).filter(([what]) => what.endsWith(end))
  return matching.reduce((total, [, count]) => total + count, 0)
}
