/** Rows that the tally has given up are removed, a few at a time. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Cluster } from '../../src/demo/cluster.ts'
import { LOOKED_UP_IDS, PRUNED_ROWS } from '../../src/demo/node-messages.ts'
import { inProcesses } from '../../src/demo/processes.ts'
import { Pruning } from '../../src/demo/pruning.ts'
import { Supervisor } from '../../src/demo/supervisor.ts'
import { Tally } from '../../src/demo/tally.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'

it('goes as far as the tally allows, in steps, and tries a failed step again', async () => {
  const asked: number[] = []
  let isLeaderless = true
  const removed = [PRUNED_ROWS, 12]
  const call = async (_method: string, below: number): Promise<number> => {
    asked.push(below)
    if (isLeaderless) throw new Error('no leader')
    return removed.shift() ?? 0
  }
  const cluster = { leader: { running: { call } } } as unknown as Cluster
  const below = 5 * LOOKED_UP_IDS
  const tally = new Tally(below, 4)
  const pruning = new Pruning()
  const step = async (): Promise<void> => {
    pruning.step(cluster, tally)
    await turn()
  }
  await step()
  isLeaderless = false
  for (let i = 0; i < 5; i += 1) await step()
  assert.deepEqual(asked, [below, below, below], 'no leader, not all at once, the rest')
})

it('removes the rows from the files of all nodes', async (t) => {
  const dataDir = temporaryDirectory(t)
  const supervisor = await Supervisor.start({
    open: inProcesses({ dataDir, progress: () => {} }),
    publish: () => {},
  })
  t.after(() => supervisor.close())
  const { cluster } = supervisor
  const countRows = (from: number): Promise<readonly (number | null)[]> =>
    Promise.all(
      cluster.running.map(async ({ running }) => {
        // A node that has not applied that far yet has no table to look into.
        const found = await running?.call('lookUp', from).catch(() => null)
        return found?.counts.reduce((sum, count) => sum + count, 0) ?? null
      }),
    )
  for (let i = 0; i < 3; i += 1) supervisor.write(undefined, undefined)
  const lastId = await until(
    'a row',
    async () => (await cluster.running[0]?.running?.call('lastId')) || null,
  )
  const from = Math.floor(lastId / LOOKED_UP_IDS) * LOOKED_UP_IDS
  await until('three rows everywhere', async () => (await countRows(from)).join() === '3,3,3,3')
  supervisor.reset()
  await until(
    'the rows of before are gone',
    async () => (await countRows(from)).join() === '0,0,0,0',
  )
})
