import { setTimeout as pause } from 'node:timers/promises'
import type { MemberStatus, NodeStatus } from '../index.ts'
import type { ApiClient } from './client.ts'
import { CliError, usageError } from './failure.ts'
import { toInteger } from './numbers.ts'

const LOOK_MS = 500
/** A node does not tell by what the others know it. */
const CERTIFICATES = '--tls-ca, --tls-cert and --tls-key'
const SECURITY =
  "./secret is to hold the cluster's secret; where nodes have certificates, it is " +
  `${CERTIFICATES} in place of --secret-file`
const SECURITY_TOO =
  'with --secret-file too, if the cluster has a secret, or ' +
  `${CERTIFICATES}, if its nodes have certificates`

export interface MemberAddOptions {
  readonly nodeId?: string
  readonly learner?: boolean
  readonly timeoutSeconds: string
}

/**
 * Nodes add themselves: this says what to run over there, and waits until a member of that address
 * is in the cluster and has what the others have.
 */
export async function runMemberAdd(
  client: ApiClient,
  address: string,
  options: MemberAddOptions,
): Promise<void> {
  const host = hostOf(address)
  if (host === null) throw usageError(`'${address}' is no HOST:PORT that other machines could dial`)
  const seconds = toInteger('--timeout-seconds', options.timeoutSeconds, 1, 86_400)
  const members = await client.get<MemberStatus[]>('members')
  const first = await look(client, address, null)
  if (members.some((member) => member.address === address)) {
    process.stdout.write(`there is a member at ${address} already\n`)
  } else {
    const command = joinCommand(members, { ...options, address, host })
    process.stdout.write(`run this where ${address} is:\n  ${command}\n`)
    process.stdout.write(`${isOnlyLoopback([host], members) ? SECURITY_TOO : SECURITY}\n`)
  }
  await untilLevel(client, address, { first, seconds })
}

interface Joining extends MemberAddOptions {
  readonly address: string
  readonly host: string
}

/** Runs as it stands, on a machine of its own or beside another node. */
function joinCommand(members: readonly MemberStatus[], joining: Joining): string {
  const { address, host, learner } = joining
  const others = members.map((member) => member.address).filter((one) => one !== '')
  if (others.length === 0) {
    throw new CliError('the cluster is one node without network: open that with --bind first')
  }
  const nodeId = joining.nodeId ?? freeName(members.map((member) => member.nodeId))
  const args = ['--node-id', nodeId, '--data-dir', `./${nodeId}`, '--bind', address]
  for (const other of others) args.push('--join', other)
  if (learner === true) args.push('--join-as', 'learner')
  if (!isOnlyLoopback([host], members)) args.push('--secret-file', './secret')
  // The usual port for clients is taken there.
  if (others.some((other) => hostOf(other) === host)) args.push('--http-port', '0')
  return `colmena serve ${args.map(quote).join(' ')}`
}

function freeName(taken: readonly string[]): string {
  let number = taken.length + 1
  while (taken.includes(`node-${number}`)) number += 1
  return `node-${number}`
}

/** For a shell: addresses of IPv6 have brackets, and a name may hold anything. */
function quote(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
}

/** Null for what is no address, or none that others could dial. */
function hostOf(address: string): string | null {
  const [, host = '', port = ''] = /^(\[[0-9a-fA-F:.%]+\]|[\w.-]+):(\d{1,5})$/.exec(address) ?? []
  const isDialable = host !== '' && host !== '0.0.0.0' && !/^\[[0:]+\]$/.test(host)
  return isDialable && Number(port) >= 1 && Number(port) <= 65_535 ? host : null
}

/** Elsewhere nodes need a secret. */
function isOnlyLoopback(hosts: readonly string[], members: readonly MemberStatus[]): boolean {
  const all = [...hosts, ...members.map(({ address }) => hostOf(address) ?? '')]
  return all.every((host) => /^(localhost|127\.[\d.]+|\[::1\])$/.test(host))
}

async function untilLevel(
  client: ApiClient,
  address: string,
  { first, seconds }: { readonly first: Seen; readonly seconds: number },
): Promise<void> {
  const deadlineMs = performance.now() + seconds * 1_000
  let seen = first
  let said = ''
  for (;;) {
    if (seen.state !== said) process.stdout.write(`${seen.state}\n`)
    said = seen.state
    if (seen.isLevel) return
    if (performance.now() > deadlineMs) {
      throw new CliError(
        `after ${seconds} s ${address} is not in the cluster and level: ` +
          'look at what the node there says, and run this again',
      )
    }
    await pause(LOOK_MS)
    const { goal } = seen
    seen = await look(client, address, goal).catch((error: unknown) => {
      // While the asked node restarts there is no answer; that passes.
      if (!(error instanceof CliError && error.isPassing)) throw error
      return { state: error.message, isLevel: false, goal }
    })
  }
}

interface Seen {
  readonly state: string
  readonly isLevel: boolean
  /** What was committed when the member was first seen: writes of later are no lag of it. */
  readonly goal: number | null
}

/** @throws CliError where another node leads: that one alone knows how far each of them is. */
async function look(client: ApiClient, address: string, before: number | null): Promise<Seen> {
  const members = await client.get<MemberStatus[]>('members')
  const { leader, role, commitIndex, nodeId: asked } = await client.get<NodeStatus>('status')
  if (role !== 'leader') {
    if (leader === null) return { state: 'no leader is known yet', isLevel: false, goal: before }
    throw new CliError(
      `${asked} follows ${leader.id}, which alone knows how far each member is: give the address ` +
        `of the HTTP server of ${leader.id} with --url (it is the node at ${leader.address})`,
    )
  }
  const member = members.find((one) => one.address === address)
  if (member === undefined) return { state: `waiting for ${address}`, isLevel: false, goal: null }
  const goal = before ?? commitIndex
  const { nodeId, match } = member
  const isLevel = match !== null && match >= goal
  const state = `${nodeId} is a ${member.role}, ${isLevel ? 'and level' : 'catching up'}`
  return { state, isLevel, goal }
}
