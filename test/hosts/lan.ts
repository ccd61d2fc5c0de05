import assert from 'node:assert/strict'
import type { MemberStatus } from '../../src/index.ts'
import type { LanOptions } from '../../src/lan/lan.ts'
import { until } from '../processes/wait.ts'
import { SeededRandom } from '../simulated/random.ts'
import { describeMs } from './figures.ts'
import { Machines } from './machines.ts'

export interface PromotionsForm {
  readonly kills: number
  readonly seed: number
  readonly progress?: (line: string) => void
}

export const DEAD_VOTER_MS = 2_000
/** What beside that a promotion may take, as the design has it. */
const SLACK_MS = 5_000
const VOTERS = 3
const MACHINES = 4
/**
 * Of a test; all else is as a user has it who says nothing. Who may begin alone looks around for
 * longer than nodes on a LAN may take to answer.
 */
export const LAN_SETTINGS: Partial<LanOptions> = {
  discoveryWindowMs: 3_000,
  deadVoterTimeoutMs: DEAD_VOTER_MS,
}

/** Four machines on a LAN, of which the first finds nobody and begins. */
export async function openLan(): Promise<Machines> {
  const machines = await Machines.open(MACHINES)
  await machines.start(0, 'lan', LAN_SETTINGS)
  await Promise.all([1, 2].map((at) => machines.start(at, 'lan', LAN_SETTINGS)))
  await machines.untilOne(VOTERS, 0)
  await machines.start(3, 'lan', LAN_SETTINGS)
  await machines.untilOne(VOTERS, 1)
  return machines
}

/**
 * A machine that votes loses power for good, over and over: how long until as many vote that are
 * there. Then it is back with nothing, in its old place.
 */
export async function runPromotions(form: PromotionsForm): Promise<string[]> {
  const { kills, seed, progress = () => {} } = form
  await using machines = await openLan()
  const random = new SeededRandom(seed)
  const allMs: number[] = []
  let leaders = 0
  for (let kill = 1; kill <= kills; kill += 1) {
    const voters = await placesOf(machines, 'voter')
    const at = voters[random.below(voters.length)] as number
    const { isLeader } = await machines.node(at).call('leader')
    leaders += isLeader ? 1 : 0
    const promotedMs = await killVoter(machines, at)
    allMs.push(promotedMs)
    progress(`${isLeader ? 'leader' : 'voter'} killed: replaced in ${promotedMs.toFixed(0)} ms`)
    await reflash(machines, at)
  }
  const good = allMs.filter((ms) => ms <= DEAD_VOTER_MS + SLACK_MS).length
  return [
    `${kills} voters killed for good, ${leaders} of them leaders, with a time-out of ` +
      `${DEAD_VOTER_MS} ms: ${good} were replaced within that and ${SLACK_MS} ms`,
    `from the kill to ${VOTERS} voters: ${describeMs(allMs)}`,
    'each machine was back with an empty directory, in the place of what it was',
  ]
}

/** Resolves when as many vote as before, all of which are there: in so long. */
export async function killVoter(machines: Machines, at: number): Promise<number> {
  const member = await memberAt(machines, at)
  await machines.powerCut(at)
  const killedMs = performance.now()
  const [node] = machines.nodes
  assert.ok(node !== undefined)
  await until('another one votes', async () => {
    const members = await node.call('members').catch(() => [])
    const voters = members.filter(({ role }) => role === 'voter')
    const isThere = voters.every(({ memberId }) => memberId !== member.memberId)
    return isThere && voters.length === VOTERS
  })
  return performance.now() - killedMs
}

/** It has forgotten all, and joins under a new name at the address that it had. */
export async function reflash(machines: Machines, at: number): Promise<void> {
  machines.wipe(at)
  const node = await machines.start(at, 'lan', LAN_SETTINGS)
  await machines.untilOne(VOTERS, MACHINES - VOTERS)
  await until('it is healthy', () => node.call('healthy'))
}

export async function placesOf(
  machines: Machines,
  role: MemberStatus['role'],
): Promise<readonly number[]> {
  const all = machines.places.map(async (at) => ({ at, member: await memberAt(machines, at) }))
  return (await Promise.all(all)).filter(({ member }) => member.role === role).map(({ at }) => at)
}

/** What the node of that machine is, by its own word. */
export async function memberAt(machines: Machines, at: number): Promise<MemberStatus> {
  const node = machines.node(at)
  const [{ nodeId }, members] = await Promise.all([node.call('status'), node.call('members')])
  const member = members.find((one) => one.nodeId === nodeId)
  assert.ok(member !== undefined, `machine ${at} is a member`)
  return member
}
