import { Cluster } from '../cluster.ts'
import { median } from '../figures.ts'
import type { MemberHandle } from '../member-handle.ts'
import type { ReadPlan, ReadResult } from '../protocol.ts'
import type { GroupContext } from './group.ts'

const TURNS = 7
const DURATION_MS = 400

type How = ReadPlan['how']
type Results = Record<How, ReadResult[]>

export async function measureReadGroup(context: GroupContext): Promise<void> {
  await measureLevels(context)
  await measureLease(context)
}

async function measureLevels({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3 })
  const [leader, follower] = await cluster.listFromLeader()
  if (leader === undefined || follower === undefined) throw new Error('two members are needed')
  await leader.call('prepareReads', stage.createFolder())
  await cluster.untilLevel()

  const onLeader = await readInTurns(leader, ['raw', 'reader', 'none', 'lease', 'weak', 'strong'])
  report('read.raw.perSecond', perSecondOf(onLeader.raw))
  report('read.reader.perSecond', perSecondOf(onLeader.reader))
  report('read.reader.ratioToRaw', ratioOf(onLeader.reader, onLeader.raw))
  report('read.none.perSecond', perSecondOf(onLeader.none))
  report('read.lease.leader.perSecond', perSecondOf(onLeader.lease))
  report('read.lease.leader.ratioToNone', ratioOf(onLeader.lease, onLeader.none))
  report('read.weak.leader.perSecond', perSecondOf(onLeader.weak))
  report('read.weak.leader.ratioToNone', ratioOf(onLeader.weak, onLeader.none))
  const onFollower = await readInTurns(follower, ['none', 'lease', 'weak', 'strong'])
  report('read.lease.follower.perSecond', perSecondOf(onFollower.lease))
  report('read.lease.follower.ratioToNone', ratioOf(onFollower.lease, onFollower.none))
  report('read.weak.follower.p50Ms', median(onFollower.weak.map(({ p50Ms }) => p50Ms)))
  report('read.strong.leader.p50Ms', median(onLeader.strong.map(({ p50Ms }) => p50Ms)))
  report('read.strong.follower.p50Ms', median(onFollower.strong.map(({ p50Ms }) => p50Ms)))
  await cluster.end()
}

async function measureLease({ stage, report }: GroupContext): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3, strongReads: 'lease' })
  const [leader] = await cluster.listFromLeader()
  if (leader === undefined) throw new Error('a leader is needed')
  await leader.call('prepareReads', stage.createFolder())
  await cluster.untilLevel()
  const { none, strong } = await readInTurns(leader, ['none', 'strong'])
  report('read.strong.lease.perSecond', perSecondOf(strong))
  report('read.strong.lease.ratioToNone', ratioOf(strong, none))
  await cluster.end()
}

/** Turn by turn, so that a slow spell of the machine meets all of them; the first turn warms up. */
async function readInTurns(member: MemberHandle, ways: readonly How[]): Promise<Results> {
  const results: Results = { raw: [], reader: [], none: [], lease: [], weak: [], strong: [] }
  for (let turn = 0; turn <= TURNS; turn += 1) {
    for (const how of ways) {
      const result = await member.call('read', { how, durationMs: DURATION_MS })
      if (turn > 0) results[how].push(result)
    }
  }
  return results
}

function perSecondOf(results: readonly ReadResult[]): number {
  return median(results.map(({ perSecond }) => perSecond))
}

/** The median of the turns' own ratios. */
function ratioOf(ours: readonly ReadResult[], theirs: readonly ReadResult[]): number {
  const ratios = ours.map(({ perSecond }, turn) => {
    return perSecond / (theirs[turn]?.perSecond ?? Number.NaN)
  })
  return median(ratios)
}
