import { setTimeout as pause } from 'node:timers/promises'
import type { MemberStatus, NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { CliError, usageError } from './failure.ts'
import { toInteger } from './numbers.ts'

const LOOK_MS = 500

/**
 * Nodes add themselves: this says what to run over there, and waits until a member of that address
 * is in the cluster and has what the others have.
 */
export async function runMemberAdd(
  client: ApiClient,
  address: string,
  options: { readonly learner?: boolean; readonly timeoutSeconds: string },
): Promise<void> {
  if (!/^.+:\d+$/.test(address)) throw usageError(`'${address}' is no HOST:PORT`)
  const seconds = toInteger('--timeout-seconds', options.timeoutSeconds, 1, 86_400)
  const members = await client.get<MemberStatus[]>('members')
  const join = members.flatMap((member) =>
    member.address === '' ? [] : ['--join', member.address],
  )
  if (join.length === 0) {
    throw new CliError('the cluster is one node without network: open that with --bind first')
  }
  const role = options.learner === true ? ' --join-as learner' : ''
  process.stdout.write(
    `run this where ${address} is, with the cluster's secret if it has one:\n` +
      `  colmena serve --bind ${address} ${join.join(' ')}${role}\n`,
  )
  const deadlineMs = performance.now() + seconds * 1_000
  let said = ''
  let goal: number | null = null
  for (;;) {
    // While the cluster elects there is no answer; that passes.
    const seen: Seen = await look(client, address, goal).catch((error: unknown) => {
      if (error instanceof CliError && error.isPassing) return { state: error.message, goal }
      throw error
    })
    goal = seen.goal
    if (seen.state !== said) process.stdout.write(`${seen.state}\n`)
    said = seen.state
    if (said.endsWith('level')) return
    if (performance.now() > deadlineMs) {
      throw new CliError(`after ${seconds} s ${address} is not in the cluster and level`)
    }
    await pause(LOOK_MS)
  }
}

interface Seen {
  readonly state: string
  /** What was committed when the member was first seen: writes of later are no lag of it. */
  readonly goal: number | null
}

async function look(client: ApiClient, address: string, before: number | null): Promise<Seen> {
  const members = await client.get<MemberStatus[]>('members')
  const member = members.find((one) => one.address === address)
  if (member === undefined) return { state: `waiting for ${address}`, goal: null }
  const goal = before ?? (await client.get<NodeStatus>('status')).commitIndex
  const { nodeId, role, match } = member
  if (match === null) {
    return { state: `${nodeId} is a ${role}; ask the leader how far it is (--url)`, goal }
  }
  const state = match < goal ? 'catching up' : 'and level'
  return { state: `${nodeId} is a ${role}, ${state}`, goal }
}
