/** Relaxed nodes that are killed: what each of them does about what it may have lost. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import type { RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

/** The one that syncs before it acknowledges. */
const FULL = 2
/** Small segments, as each new log is written ahead. */
const QUICK = { electionTimeoutMs: 600, logSegmentBytes: 1024 * 1024 } as const

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

it('relaxed members beside a full one come back from kills as new ones, it as itself', async () => {
  // The node that began the cluster is among those that are killed: it must not begin another.
  const own = { [FULL]: { durability: 'full' } } as const
  const cluster = await Cluster.start({ durability: 'relaxed', own, ...QUICK })
  try {
    await cluster.makeLedger()
    await cluster.startWriters(FULL, 4)
    await cluster.untilAcknowledged(20)
    const old = readMemberId(cluster, 0)
    await cluster.node(0).kill()
    await cluster.untilAcknowledged(10)
    await cluster.startNode(0)
    const ids = await untilThreeVote(cluster, FULL)
    const now = readMemberId(cluster, 0)
    assert.notEqual(now, old)
    assert.ok(ids.includes(now) && !ids.includes(old), 'a new member in place of the old one')
    assert.equal((await cluster.node(0).call('status')).durability.mode, 'relaxed')
    await cluster.untilAcknowledged(20)
    await cluster.stopWriters()
    await cluster.untilEqual()

    const before = [0, 1, FULL].map((at) => readMemberId(cluster, at))
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    await cluster.startNode(FULL)
    const errors = await Promise.all([0, 1].map((at) => refuseToOpen(cluster, at)))
    for (const error of errors) {
      assert.equal(error.code, 'ERR_UNCLEAN_STOP')
      assert.equal(error.retryable, true)
    }
    const kept = [0, 1, FULL].map((at) => readMemberId(cluster, at))
    assert.deepEqual(kept, before, 'none was wiped')
    // One of the two is as many as a majority still needs.
    const acceptLoss = tokenOf(errors[0] as RemoteError)
    await cluster.node(0).call('open', { ...cluster.optionsOf(0), acceptLoss })
    await cluster.node(1).call('open', cluster.optionsOf(1))
    const last = await untilThreeVote(cluster, FULL)
    assert.ok(last.includes(before[0] as number) && last.includes(before[FULL] as number))
    assert.ok(!last.includes(before[1] as number) && last.includes(readMemberId(cluster, 1)))
    await cluster.checkContents()
  } finally {
    await cluster.end()
  }
})
