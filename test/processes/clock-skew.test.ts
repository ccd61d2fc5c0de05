import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cluster, nameNode } from './cluster.ts'
import { optionsToPreload } from './node-handle.ts'
import { until } from './wait.ts'

const YEAR_MS = 365 * 86_400_000

test('a leader whose clock is a year ahead says so, and leaves leading to others', async (t) => {
  const cluster = await Cluster.start({
    envs: [YEAR_MS, 0, 0].map((offsetMs) => ({
      TEST_CLOCK_OFFSET_MS: String(offsetMs),
      NODE_OPTIONS: optionsToPreload(new URL('foreign-clock.ts', import.meta.url)),
    })),
  })
  t.after(() => cluster.end())
  const [off] = [0, 1, 2].map((at) => cluster.node(at))
  assert.ok(off !== undefined)
  await until('it has handed over', async () => (await cluster.leader()) !== 0)
  const { clock } = await off.call('status')
  assert.equal(clock.isOff, true)
  assert.ok(Math.abs((clock.skewMs ?? 0) - YEAR_MS) < 60_000, `${clock.skewMs} ms`)
  const warnings = off.eventsOf('warning').filter(({ code }) => code === 'ERR_CLOCK_SKEW')
  assert.match(warnings[0]?.message ?? '', /ahead of the median/)

  // Entries have the time of who leads now, but where the first leader had given them a later one.
  const leader = await cluster.leader()
  await cluster.node(leader).call('execute', 'CREATE TABLE times (at INTEGER)')
  await cluster.node(leader).call('execute', "INSERT INTO times VALUES (unixepoch('now'))")
  const { rows } = await cluster.node(leader).call('execute', 'SELECT at FROM times')
  const { clock: healthy } = await cluster.node(leader).call('status')
  assert.equal(healthy.isOff, false)
  assert.ok(Math.abs(Number(rows[0]?.['at']) * 1_000 - Date.now()) < YEAR_MS / 2)
  assert.ok(Math.abs(healthy.frozenAheadMs ?? YEAR_MS) < YEAR_MS / 2)

  // Asked to lead all the same, it hands over again.
  await cluster.node(leader).call('transferLeadership', nameNode(0))
  await until('others lead again', async () => (await cluster.leader()) !== 0)
})
