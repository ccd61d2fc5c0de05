/** Whom the demo breaks by itself. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Breaker } from '../../src/demo/breaker.ts'
import { Cluster } from '../../src/demo/cluster.ts'
import type { Member } from '../../src/demo/member.ts'
import type { Links, Site } from '../../src/demo/site.ts'

const IDS = ['a', 'b', 'c'] as const

/** Breaks nodes that always run, and answers what was done to whom. */
function breakOften(links: Links | null, pageId: string | null): Set<string> {
  const site: Site = { kind: 'machines', advice: '', pageId, links, revive, close: revive }
  const cluster = new Cluster(site)
  for (const id of IDS) cluster.add(id, false)
  const done = new Set<string>()
  Object.defineProperty(cluster, 'whole', { value: cluster.members })
  cluster.restart = (id) => void done.add(`restart ${id}`)
  const breaker = new Breaker(cluster)
  for (let second = 2; second < 600; second += 2) {
    breaker.tick(second * 1_000, 2)
    for (const { id, isCutOff } of cluster.members) if (isCutOff) done.add(`cut ${id}`)
  }
  return done
}

async function revive(): Promise<void> {}

function doneTo(...actions: readonly string[]): Set<string> {
  return new Set(actions.flatMap((action) => IDS.map((id) => `${action} ${id}`)))
}

it('breaks every node in both ways, where the page is in no process of theirs', () => {
  const passed: Member[] = []
  const links = { cut: (one: Member) => void passed.push(one), join() {} }
  assert.deepEqual(breakOften(links, null), doneTo('restart', 'cut'))
  assert.ok(passed.length > 0)
})

it('spares the machine that has the page, and cuts nothing off where that can not be', () => {
  const done = breakOften(null, 'b')
  assert.deepEqual(done, new Set(['restart a', 'restart c']))
})
