import { connect } from 'node:net'
import { createInterface } from 'node:readline/promises'
import {
  planRecovery,
  type RecoveryDone,
  type RecoveryMember,
  type RecoveryPlan,
  recover,
} from '../index.ts'
import { CliError } from './failure.ts'

export interface RecoverOptions {
  readonly dataDir: string
  readonly yes?: boolean
}

/** For so long a member may take to answer. */
const ANSWER_MS_MAX = 2_000

/**
 * Says what a recovery would do, and does it where that is confirmed: in advance only where nothing
 * speaks against it, as two clusters of one can't be put together again.
 */
export async function runRecover({ dataDir, yes = false }: RecoverOptions): Promise<void> {
  const plan = await planRecovery({ dataDir })
  const there = await findAnswering(plan.dropped)
  process.stdout.write(`${describePlan(plan)}\n${describeAnswering(there)}`)
  const isSafe = !couldDecide(there, plan.dropped)
  if (!(yes && isSafe) && !(await isConfirmed(plan.nodeId))) {
    const remedy = isSafe
      ? 'give --yes, or type the name of the node, to recover'
      : 'with those that answer this node has a majority; start it, or stop them first'
    throw new CliError(`nothing was changed: ${remedy}`)
  }
  process.stdout.write(`${describeDone(await recover({ dataDir, nodeId: plan.nodeId }))}\n`)
}

/** Only a person at a terminal can be asked. */
async function isConfirmed(nodeId: string): Promise<boolean> {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return false
  const asking = createInterface({ input: process.stdin, output: process.stdout })
  try {
    return (await asking.question(`Type '${nodeId}' to recover it: `)).trim() === nodeId
  } finally {
    asking.close()
  }
}

function describePlan(plan: RecoveryPlan): string {
  const { nodeId, dataDir, lastIndex, lastTerm, commitIndex, appliedIndex, dropped } = plan
  const lines = [
    `RECOVERING node '${nodeId}' in ${dataDir}, for when a majority of voters is gone FOR GOOD.`,
    '',
    `It would go on alone, as a new cluster, with its own log up to entry ${lastIndex} of term`,
    `${lastTerm}. It knows that a majority had what goes up to ${commitIndex}; its databases have`,
    `up to ${appliedIndex}. What is beyond is kept and applied, as it may have been acknowledged.`,
    '',
    `LOST is whatever the others had beyond entry ${lastIndex}, acknowledged or not. Ask each`,
    'that is left: the one to recover has the highest term, and among equals the highest entry.',
    ...(plan.isUnclean
      ? ['Lost too: what it acknowledged, being relaxed, before it stopped.']
      : []),
    '',
    'No members any more, which may NEVER be started again with the files that they have:',
    ...dropped.map(({ nodeId: name, role, address }) => `  ${name}, ${role}, at ${address}`),
    'A majority of them would be the old cluster again, beside the new one. Each joins the new one',
    'with an empty data directory; with its old one it is refused (ERR_OTHER_CLUSTER).',
    '',
    `The old files are kept, in a folder below ${dataDir}; the new ones take up to ` +
      `${mib(plan.neededBytes)} MiB of`,
    `the ${mib(plan.freeBytes)} MiB that are free.`,
  ]
  return lines.join('\n')
}

/** Something listens where these members were; that it is they, only they could tell. */
async function findAnswering(
  members: readonly RecoveryMember[],
): Promise<readonly RecoveryMember[]> {
  const answers = await Promise.all(members.map(({ address }) => isAnswered(address)))
  return members.filter((_, at) => answers[at])
}

function isAnswered(address: string): Promise<boolean> {
  const { hostname, port } = URL.parse(`tcp://${address}`) ?? {}
  if (!hostname || !port) return Promise.resolve(false)
  return new Promise((resolve) => {
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const socket = connect({ host, port: Number(port), timeout: ANSWER_MS_MAX })
    const end = (isThere: boolean): void => {
      socket.destroy()
      resolve(isThere)
    }
    socket.once('connect', () => end(true))
    socket.once('timeout', () => end(false))
    socket.once('error', () => end(false))
  })
}

/** Whether they and this node are a majority of the voters. */
function couldDecide(
  there: readonly RecoveryMember[],
  dropped: readonly RecoveryMember[],
): boolean {
  const countOf = (members: readonly RecoveryMember[]): number =>
    members.filter(({ role }) => role === 'voter').length
  return 2 * (countOf(there) + 1) > countOf(dropped) + 1
}

function describeAnswering(there: readonly RecoveryMember[]): string {
  if (there.length === 0) return ''
  const places = there.map(({ nodeId, address }) => `${nodeId} at ${address}`).join(', ')
  return `\nSOMETHING ANSWERS for ${places}. Stop every node of the old cluster first.\n`
}

function describeDone({ nodeId, newClusterId, clusterId, keptIn, dataDir }: RecoveryDone): string {
  const lines = [
    '',
    `RECOVERED: node '${nodeId}' is cluster ${newClusterId} now; it was of ${clusterId}.`,
    `The old files are in ${keptIn}: keep them until you miss nothing.`,
    `Start it as ever, with ${dataDir}; others join it with empty data directories.`,
  ]
  return lines.join('\n')
}

function mib(bytes: number): number {
  return Math.ceil(bytes / (1024 * 1024))
}
