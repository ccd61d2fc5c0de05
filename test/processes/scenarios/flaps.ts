import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster, nameNode } from '../cluster.ts'

export interface FlapsForm {
  readonly everyMs: number
  readonly durationMs: number
}

/**
 * A link that breaks all the time is not a lost leader: while both sides of it dial again at once,
 * heartbeats get through in between, and nobody is elected.
 */
export async function runFlaps({ everyMs, durationMs }: FlapsForm): Promise<string[]> {
  const cluster = await Cluster.start({ hasProxies: true })
  try {
    await cluster.makeLedger()
    const leader = await cluster.leader()
    const follower = (leader + 1) % 3
    const before = await cluster.terms()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 2, { restMs: 10 })
    let breaks = 0
    const flapsMax = Math.floor(durationMs / everyMs)
    for (let flap = 0; flap < flapsMax; flap += 1) {
      await pause(everyMs)
      breaks += cluster.proxy(leader).break(nameNode(follower))
      breaks += cluster.proxy(follower).break(nameNode(leader))
    }
    await cluster.stopWriters()
    assert.ok(breaks >= flapsMax, `the link was there to be broken: ${breaks} connections`)
    assert.deepEqual(await cluster.terms(), before, 'no election while the link flapped')
    await cluster.checkContents()
    const { acknowledged } = cluster.ledger.counts
    return [
      `the link between the leader and a follower broke every ${everyMs} ms for ` +
        `${durationMs / 1000} s, ${breaks} connections in all: no election, terms ` +
        `${before.join(', ')}`,
      `${acknowledged} writes acknowledged meanwhile, each there once on all three`,
    ]
  } finally {
    await cluster.end()
  }
}
