import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster, nameNode } from '../cluster.ts'
import type { RemoteError } from '../node-handle.ts'
import { until } from '../wait.ts'

export interface RelaxedForm {
  /** One node after the other is killed under writes, so often in all. */
  readonly kills: number
  /** How often all are killed at once after that. */
  readonly killsOfAll: number
}

/** The one that syncs before it acknowledges. */
const FULL = 2
const NODES = [0, 1, FULL] as const

/**
 * Relaxed members beside a full one: killed, a relaxed one comes back as a new member and the full
 * one as itself. All killed at once, the relaxed ones keep what they have until one of them is told
 * to go on with it. Nothing acknowledged is lost: only processes end here, no power.
 */
export async function runRelaxed({ kills, killsOfAll }: RelaxedForm): Promise<string[]> {
  const cluster = await Cluster.start({
    durability: 'relaxed',
    own: { [FULL]: { durability: 'full' } },
    electionTimeoutMs: 600,
    // Small, as each new member writes its first ones ahead.
    logSegmentBytes: 1024 * 1024,
  })
  try {
    await cluster.makeLedger()
    for (let kill = 0; kill < kills; kill += 1) await killOne(cluster, kill % 3)
    for (let kill = 0; kill < killsOfAll; kill += 1) await killAll(cluster)
    await cluster.checkContents()
    return [
      `${kills} kills of one of three members, ${killsOfAll} of all: each relaxed one came back ` +
        'as a new member, the full one as itself, three voters each time',
      `${cluster.ledger.counts.acknowledged} writes acknowledged, each there once on all three`,
    ]
  } finally {
    await cluster.end()
  }
}

/** The node that began the cluster is the first: it must not begin another. */
async function killOne(cluster: Cluster, at: number): Promise<void> {
  const asked = (at + 1) % 3
  await cluster.startWriters(asked, 4, { restMs: 10 })
  await cluster.untilAcknowledged(20)
  const old = readMemberId(cluster, at)
  await cluster.node(at).kill()
  await cluster.untilAcknowledged(10)
  await cluster.startNode(at)
  const ids = await untilThreeVote(cluster, asked)
  const now = readMemberId(cluster, at)
  assert.equal(now === old, at === FULL, nameNode(at))
  assert.ok(ids.includes(now), 'it votes again')
  assert.equal(ids.includes(old), at === FULL, 'a new member in place of the old one')
  const { durability } = await cluster.node(at).call('status')
  assert.equal(durability.mode, at === FULL ? 'full' : 'relaxed')
  await cluster.untilAcknowledged(20)
  await cluster.node(asked).call('stopWriters')
  await cluster.untilEqual()
}

async function killAll(cluster: Cluster): Promise<void> {
  const before = NODES.map((at) => readMemberId(cluster, at))
  await Promise.all(cluster.nodes.map((node) => node.kill()))
  await cluster.startNode(FULL)
  const errors = await Promise.all([0, 1].map((at) => refuseToOpen(cluster, at)))
  for (const error of errors) {
    assert.equal(error.code, 'ERR_UNCLEAN_STOP')
    assert.equal(error.retryable, true)
  }
  const kept = NODES.map((at) => readMemberId(cluster, at))
  assert.deepEqual(kept, before, 'none was wiped')
  // One of the two is as many as a majority still needs.
  const acceptLoss = tokenOf(errors[0] as RemoteError)
  await cluster.node(0).call('open', { ...cluster.optionsOf(0), acceptLoss })
  await cluster.node(1).call('open', cluster.optionsOf(1))
  const ids = await untilThreeVote(cluster, FULL)
  assert.ok(ids.includes(before[0] as number) && ids.includes(before[FULL] as number))
  assert.ok(!ids.includes(before[1] as number) && ids.includes(readMemberId(cluster, 1)))
}

function readMemberId(cluster: Cluster, at: number): number {
  return JSON.parse(readFileSync(join(cluster.dataDir(at), 'identity.json'), 'utf8')).memberId
}

/** Resolves once three members vote again, and tells their ids. */
function untilThreeVote(cluster: Cluster, asked: number): Promise<readonly number[]> {
  return until('three members vote', async () => {
    const members = await cluster.node(asked).call('members')
    const voters = members.filter(({ role }) => role === 'voter')
    return members.length === 3 && voters.length === 3
      ? voters.map(({ memberId }) => memberId)
      : null
  })
}

async function refuseToOpen(cluster: Cluster, at: number): Promise<RemoteError> {
  const options = { ...cluster.optionsOf(at), joinTimeoutMs: 500 }
  try {
    await cluster.startProcess(at).call('open', options)
  } catch (error) {
    return error as RemoteError
  }
  return assert.fail(`${nameNode(at)} must not open`)
}

function tokenOf(error: RemoteError): string {
  const [, token] = /acceptLoss: '([0-9a-f]{12}-\d+)'/.exec(error.message) ?? []
  assert.ok(token !== undefined, error.message)
  return token
}
