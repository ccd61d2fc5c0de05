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
  for (;;) {
    const state = await look(client, address)
    if (state !== said) process.stdout.write(`${state}\n`)
    said = state
    if (state.endsWith('level')) return
    if (performance.now() > deadlineMs) {
      throw new CliError(`after ${seconds} s ${address} is not in the cluster and level`)
    }
    await pause(LOOK_MS)
  }
}

async function look(client: ApiClient, address: string): Promise<string> {
  const members = await client.get<MemberStatus[]>('members')
  const member = members.find((one) => one.address === address)
  if (member === undefined) return `waiting for ${address}`
  const { nodeId, role, match } = member
  if (match === null) return `${nodeId} is a ${role}; only the leader knows how far it is`
  const { commitIndex } = await client.get<NodeStatus>('status')
  const behind = commitIndex - match
  return behind > 0 ? `${nodeId} is a ${role}, catching up` : `${nodeId} is a ${role}, and level`
}
