/** Relaxed nodes that are killed: what each of them does about what it may have lost. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import type { RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

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
  const node = cluster.startProcess(at)
  const options = { ...cluster.optionsOf(at), joinTimeoutMs: 500 }
  try {
    await node.call('open', options)
  } catch (error) {
    return error as RemoteError
  } finally {
    await node.kill()
  }
  return assert.fail(`${nameNode(at)} must not open`)
}

function tokenOf(error: RemoteError): string {
  const [, token] = /acceptLoss: '([0-9a-f]{12}-\d+)'/.exec(error.message) ?? []
  assert.ok(token !== undefined, error.message)
  return token
}

it('relaxed members come back from a kill as new ones, all at once as they are', async () => {
  const cluster = await Cluster.start({ durability: 'relaxed', electionTimeoutMs: 600 })
  try {
    await cluster.makeLedger()
    const leader = await cluster.leader()
    const other = (leader + 1) % 3
    const stays = (leader + 2) % 3
    // The node that began the cluster is among those that are killed: it must not begin another.
    const killed = leader === 0 ? leader : other
    const old = readMemberId(cluster, killed)
    await cluster.startWriters(stays, 4)
    await cluster.untilAcknowledged(50)
    await cluster.node(killed).kill()
    await cluster.untilAcknowledged(20)
    await cluster.startNode(killed)
    const ids = await untilThreeVote(cluster, stays)
    const now = readMemberId(cluster, killed)
    assert.notEqual(now, old)
    assert.ok(ids.includes(now) && !ids.includes(old), 'a new member in place of the old one')
    assert.equal((await cluster.node(killed).call('status')).durability.mode, 'relaxed')
    await cluster.untilAcknowledged(50)
    await cluster.stopWriters()
    await cluster.untilEqual()

    await Promise.all(cluster.nodes.map((node) => node.kill()))
    const before = [0, 1, 2].map((at) => readMemberId(cluster, at))
    const errors = await Promise.all([0, 1, 2].map((at) => refuseToOpen(cluster, at)))
    for (const error of errors) {
      assert.equal(error.code, 'ERR_UNCLEAN_STOP')
      assert.equal(error.retryable, true)
    }
    assert.deepEqual(
      [0, 1, 2].map((at) => readMemberId(cluster, at)),
      before,
      'none was wiped',
    )
    const accepting = [0, 1].map((at) => {
      const acceptLoss = tokenOf(errors[at] as RemoteError)
      return cluster.startProcess(at).call('open', { ...cluster.optionsOf(at), acceptLoss })
    })
    await Promise.all(accepting)
    await cluster.startNode(2)
    const last = await untilThreeVote(cluster, 0)
    assert.ok(last.includes(before[0] as number) && last.includes(before[1] as number))
    assert.notEqual(readMemberId(cluster, 2), before[2])
    await cluster.checkContents()
  } finally {
    await cluster.end()
  }
})
