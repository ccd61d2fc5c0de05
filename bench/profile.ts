/** Where a thread of the leader, and of a follower, spends its time while many write. */
import { pause } from './clock.ts'
import { Cluster } from './cluster.ts'
import type { MemberHandle } from './member-handle.ts'
import type { ProfiledThread } from './protocol.ts'
import type { Stage } from './stage.ts'
import { startWriters, stopWriters } from './write-rounds.ts'

const WRITER_COUNTS: readonly number[] = [32, 128]
const WARM_UP_MS = 2_000
const PROFILE_MS = 4_000
const LINES = 25

/** What the inspector calls a profile, as far as it is read here. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

export async function printProfile(
  stage: Stage,
  thread: ProfiledThread,
  print: (line: string) => void,
): Promise<void> {
  const cluster = await Cluster.start(stage, { nodes: 3, isProfiled: true })
  const members = await cluster.listFromLeader()
  for (const writers of WRITER_COUNTS) {
    const places = [
      ['leader', members[0]],
      ['follower', members[1]],
    ] as const
    for (const [place, member] of places) {
      if (member === undefined) continue
      await startWriters(members, writers)
      await pause(WARM_UP_MS)
      const profile = await takeProfile(member, thread)
      const recordings = await stopWriters(members)
      const count = recordings.reduce((sum, { endsMs }) => sum + endsMs.length, 0)
      const perSecond = Math.round((count * 1_000) / (WARM_UP_MS + PROFILE_MS))
      print(`\n${thread} thread of the ${place}, ${writers} writers, ${perSecond} writes/s`)
      for (const line of listHotSpots(profile)) print(line)
    }
  }
  await cluster.end()
}

async function takeProfile(member: MemberHandle, thread: ProfiledThread): Promise<CpuProfile> {
  await member.call('startProfile', thread)
  await pause(PROFILE_MS)
  return JSON.parse(await member.call('stopProfile', thread)) as CpuProfile
}

/** The functions that the thread was in most, by their own time. */
function listHotSpots({ nodes, samples, timeDeltas }: CpuProfile): string[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameFrame(callFrame)]))
  const selfMs = new Map<string, number>()
  let totalMs = 0
  for (const [at, id] of samples.entries()) {
    const elapsedMs = (timeDeltas[at] ?? 0) / 1_000
    const name = names.get(id) ?? '(unknown)'
    selfMs.set(name, (selfMs.get(name) ?? 0) + elapsedMs)
    totalMs += elapsedMs
  }
  const hottest = [...selfMs].sort(([, a], [, b]) => b - a).slice(0, LINES)
  return hottest.map(([name, ms]) => `${((ms / totalMs) * 100).toFixed(1).padStart(6)} %  ${name}`)
}

function nameFrame({ functionName, url, lineNumber }: CpuProfile['nodes'][0]['callFrame']): string {
  const name = functionName || '(anonymous)'
  const place = url.split('/dist/').at(-1) ?? ''
  return place === '' ? name : `${name}  ${place}:${lineNumber + 1}`
}
