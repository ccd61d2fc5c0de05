/** Stopping everything, and starting it again with the same calls. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Cluster } from './cluster.ts'
import { until } from './wait.ts'

it('goes on where it was after all nodes were stopped', async () => {
  const cluster = await Cluster.start()
  try {
    await cluster.makeLedger()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 2, { restMs: 50 })
    await cluster.untilAcknowledged(50)
    await cluster.stopWriters()
    await cluster.untilEqual()
    await cluster.stop()
    await Promise.all([0, 1, 2].map((at) => cluster.startNode(at)))
    await cluster.leader()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 2, { restMs: 50 })
    await cluster.untilAcknowledged(50)

    // In the middle of everything all three end without closing, as after a power cut.
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    await Promise.all([0, 1, 2].map((at) => cluster.startNode(at)))
    await cluster.leader()

    // And one ends itself, as a process does whose code calls exit().
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 2, { restMs: 50 })
    await cluster.untilAcknowledged(50)
    await cluster.node(1).exit()
    await cluster.untilAcknowledged(50)
    await cluster.startNode(1)
    await cluster.startWriters(1, 2, { restMs: 50 })
    await cluster.untilAcknowledged(50)
    await cluster.stopWriters()
    await cluster.checkContents()
  } finally {
    await cluster.end()
  }
})

it('hands leadership over when the leader closes', async () => {
  const cluster = await Cluster.start({ secret: 'all nodes of this test know this' })
  try {
    await cluster.makeLedger()
    const leader = await cluster.leader()
    const [one, other] = [0, 1, 2].filter((at) => at !== leader) as [number, number]
    const termBefore = (await cluster.node(one).call('status')).term
    for (const at of [one, other]) await cluster.startWriters(at, 2, { restMs: 50 })
    await cluster.untilAcknowledged(20)

    // The handover is part of closing: whoever closed no longer leads.
    await cluster.node(leader).call('close')
    await until('a survivor leads', async () => {
      const answers = await Promise.all([one, other].map((at) => cluster.node(at).call('leader')))
      return answers.some(({ isLeader }) => isLeader)
    })
    await cluster.node(leader).kill()
    await cluster.untilAcknowledged(20)
    // One election, and it was the transfer's: nobody had to wait for a time-out.
    for (const at of [one, other]) {
      assert.equal((await cluster.node(at).call('status')).term, termBefore + 1)
    }
    await cluster.stopWriters()
    assert.deepEqual(cluster.ledger.codes, {}, 'no write failed')
    await cluster.startNode(leader)
    await cluster.checkContents()
  } finally {
    await cluster.end()
  }
})

it('a node that is left alone says that it is not ready, and when it is again', async () => {
  const cluster = await Cluster.start()
  const left = cluster.node(0)
  const allReady = async (): Promise<boolean> =>
    (await cluster.statuses()).every(({ ready }) => ready)
  try {
    await until('all are ready', allReady)
    await Promise.all([1, 2].map((at) => cluster.node(at).kill()))
    const { notReadyReason } = await until('it is not ready', async () => {
      const status = await left.call('status')
      return status.ready ? null : status
    })
    assert.match(notReadyReason ?? '', /leader/)
    const noLeader = { code: 'ERR_NO_LEADER', outcome: 'not-applied', retryable: true }
    await assert.rejects(left.call('execute', 'CREATE TABLE t (a)'), noLeader)
    await assert.rejects(left.call('dropDatabase', 'main'), noLeader)
    await Promise.all([1, 2].map((at) => cluster.startNode(at)))
    await until('all are ready again', allReady)
  } finally {
    await cluster.end()
  }
})
