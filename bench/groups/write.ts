import { Cluster } from '../cluster.ts'
import { median } from '../figures.ts'
import { MemberHandle } from '../member-handle.ts'
import { RELAXED_WRITE, WRITER_COUNTS } from '../rows.ts'
import { measureWrites, medianOf, type WriteFigures } from '../write-rounds.ts'
import type { GroupContext } from './group.ts'

const RAW_ROUNDS = 3
const RAW_ROUND_MS = 800
const FIRST_WARM_UP_MS = 2_000
const ROUNDS = { warmUpMs: 1_000, rounds: 5, roundMs: 1_000 }
const SERIAL = { writers: 1, warmUpMs: 200, rounds: 1, roundMs: 1_000 }
const SERIAL_TURNS = 4

export async function measureWriteGroup(context: GroupContext): Promise<void> {
  await measureRaw(context)
  await measureCluster(context)
  await measureRelaxed(context)
  await measureSingle(context)
}

async function measureRaw({ stage, report }: GroupContext): Promise<void> {
  const member = new MemberHandle(stage.program)
  const folder = stage.createFolder()
  const inserts = []
  const syncs = []
  for (let round = 0; round < RAW_ROUNDS; round += 1) {
    inserts.push(await member.call('rawInserts', folder, RAW_ROUND_MS))
    syncs.push(await member.call('rawSyncs', folder, RAW_ROUND_MS))
  }
  await member.kill()
  report('write.raw.sqlite.perSecond', median(inserts.map(({ perSecond }) => perSecond)))
  report('write.raw.fsync.perSecond', median(syncs.map(({ perSecond }) => perSecond)))
  report('write.raw.fsync.p50Ms', median(syncs.map(({ p50Ms }) => p50Ms)))
}

async function measureCluster({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const members = await cluster.listFromLeader()
  await measureWrites(members, { ...ROUNDS, writers: 32, warmUpMs: FIRST_WARM_UP_MS, rounds: 1 })
  for (const writers of WRITER_COUNTS) {
    const figures = medianOf(await measureWrites(members, { ...ROUNDS, writers }))
    const id = `write.cluster.${writers}`
    report(`${id}.perSecond`, figures.perSecond)
    report(`${id}.p50Ms`, figures.p50Ms)
    report(`${id}.p99Ms`, figures.p99Ms)
  }
  await measureSerial(cluster, report)
  await cluster.end()
}

async function measureRelaxed({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3, durability: 'relaxed' })
  const members = await cluster.listFromLeader()
  await measureWrites(members, { ...ROUNDS, writers: 32, warmUpMs: FIRST_WARM_UP_MS, rounds: 1 })
  report(
    RELAXED_WRITE,
    medianOf(await measureWrites(members, { ...ROUNDS, writers: 128 })).perSecond,
  )
  await cluster.end()
}

/** In turns, so that a slow spell of the machine meets both. */
async function measureSerial(cluster: Cluster, report: GroupContext['report']): Promise<void> {
  const [leader, follower] = await cluster.listFromLeader()
  if (leader === undefined || follower === undefined) throw new Error('two members are needed')
  const rounds: Record<'leader' | 'follower', WriteFigures[]> = { leader: [], follower: [] }
  for (let turn = 0; turn < SERIAL_TURNS; turn += 1) {
    rounds.leader.push(...(await measureWrites([leader], SERIAL)))
    rounds.follower.push(...(await measureWrites([follower], SERIAL)))
  }
  for (const where of ['leader', 'follower'] as const) {
    const { p50Ms, p99Ms } = medianOf(rounds[where])
    report(`write.serial.${where}.p50Ms`, p50Ms)
    report(`write.serial.${where}.p99Ms`, p99Ms)
  }
}

async function measureSingle({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 1 })
  const { members } = cluster
  await measureWrites(members, { ...ROUNDS, writers: 32, warmUpMs: FIRST_WARM_UP_MS, rounds: 1 })
  for (const writers of WRITER_COUNTS) {
    const { perSecond } = medianOf(await measureWrites(members, { ...ROUNDS, writers }))
    report(`write.single.${writers}.perSecond`, perSecond)
  }
  await cluster.end()
}
