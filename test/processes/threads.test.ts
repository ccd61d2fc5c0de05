/** A thread of a node dies: the node fails as a whole, the process lives, and opening recovers. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { Cluster } from './cluster.ts'
import { until } from './wait.ts'

describe('a thread that dies', () => {
  let cluster: Cluster

  before(async () => {
    cluster = await Cluster.start()
    await cluster.makeLedger()
    await cluster.node(1).kill()
    await cluster.startNode(1, 'faulty')
    for (const at of [0, 2]) await cluster.startWriters(at, 2, { restMs: 20 })
  })

  afterEach(() => cluster.untilAcknowledged(10))

  after(async () => {
    try {
      await cluster.stopWriters()
      await cluster.checkContents()
    } finally {
      await cluster.end()
    }
  })

  for (const name of ['engine', 'storage'] as const) {
    for (const how of ['throw', 'exhaust'] as const) {
      const what = how === 'throw' ? 'by an exception' : 'for lack of memory'
      it(`ends the node that its ${name} thread leaves ${what}`, async () => {
        const node = cluster.node(1)
        await cluster.startWriters(1, 4, { restMs: 20 })
        await cluster.untilAcknowledged(20)
        const closedBefore = node.eventsOf('closed').length
        await node.call('breakThread', name, how)
        await until('the node has closed', () => node.eventsOf('closed').length > closedBefore)

        const closed = node.eventsOf('closed').at(-1)
        assert.equal(closed?.reason, 'failed')
        const { code, message } = closed.cause as {
          readonly code: string
          readonly message: string
        }
        assert.equal(code, 'ERR_FAILED')
        assert.match(message, new RegExp(`the ${name} thread`))
        // Its writers were all answered: one that were not would keep this from resolving.
        await node.call('stopWriters')
        await assert.rejects(node.call('execute', 'SELECT 1'), { code: 'ERR_FAILED' })
        await assert.rejects(node.call('execute', 'DELETE FROM writes'), {
          code: 'ERR_FAILED',
          outcome: 'not-applied',
        })

        await node.call('open', cluster.optionsOf(1), 'faulty')
        await node.call('execute', 'SELECT count(*) FROM writes', [], { consistency: 'strong' })
      })
    }
  }
})
