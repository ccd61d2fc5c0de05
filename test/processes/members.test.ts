/** Members that are demoted, promoted and removed while the cluster takes writes. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import { readContent } from './content.ts'
import type { NodeHandle } from './node-handle.ts'
import { until } from './wait.ts'

async function untilRole(asked: NodeHandle, nodeId: string, role: string): Promise<void> {
  await until(`${nodeId} is a ${role}`, async () => {
    const members = await asked.call('members')
    return members.some((member) => member.nodeId === nodeId && member.role === role)
  })
}

async function assertRemoved(node: NodeHandle): Promise<void> {
  const closed = await until('the removed node ends', () => node.eventsOf('closed')[0])
  assert.equal(closed.reason, 'failed')
  await assert.rejects(node.call('execute', 'SELECT 1'), { code: 'ERR_REMOVED' })
  await node.kill()
}

it('members are demoted, promoted and removed while writes go on, the leader too', async () => {
  const cluster = await Cluster.start()
  try {
    const leader = await cluster.leader()
    const [absent, last] = [(leader + 1) % 3, (leader + 2) % 3]
    const [leaderId, absentId, lastId] = [leader, absent, last].map(nameNode) as [
      string,
      string,
      string,
    ]
    const stays = cluster.node(last)
    await cluster.makeLedger()
    for (const at of [leader, absent, last]) await cluster.startWriters(at, 4, { restMs: 10 })
    await cluster.untilAcknowledged(100)

    await cluster.node(absent).call('changeMember', 'demote', lastId)
    await untilRole(stays, lastId, 'learner')
    await stays.call('changeMember', 'promote', lastId)
    await untilRole(stays, lastId, 'voter')
    await assert.rejects(stays.call('changeMember', 'remove', 'nobody'), {
      code: 'ERR_INVALID_ARGUMENT',
      message: /'nobody' is no member.*node-1/,
    })

    // It hears nothing of its own removal: no leader sends to a member that there is not.
    const paused = cluster.node(absent)
    process.kill(paused.pid, 'SIGSTOP')
    await stays.call('changeMember', 'remove', absentId)
    process.kill(paused.pid, 'SIGCONT')
    await assertRemoved(paused)

    await cluster.untilAcknowledged(100)
    const termBefore = (await stays.call('status')).term
    await stays.call('changeMember', 'remove', leaderId)
    await assertRemoved(cluster.node(leader))
    assert.deepEqual(
      (await stays.call('members')).map(({ nodeId }) => nodeId),
      [lastId],
    )
    await assert.rejects(stays.call('changeMember', 'remove', lastId), { message: /last voter/ })
    assert.equal((await stays.call('status')).term, termBefore + 1, 'one handover, no more')

    await cluster.untilAcknowledged(100)
    const again = cluster.startProcess(leader)
    await assert.rejects(again.call('open', cluster.optionsOf(leader)), { code: 'ERR_REMOVED' })
    await again.kill()

    await cluster.stopWriters()
    await stays.call('close')
    const content = readContent(cluster.dataDir(last))
    assert.equal(content.integrity, 'ok')
    cluster.ledger.check(content.ids, lastId)
  } finally {
    await cluster.end()
  }
})
