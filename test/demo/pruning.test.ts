/** Rows that the tally has given up are removed, a few at a time. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Cluster } from '../../src/demo/cluster.ts'
import { LOOKED_UP_IDS } from '../../src/demo/ipc.ts'
import { Pruning } from '../../src/demo/pruning.ts'
import { Supervisor } from '../../src/demo/supervisor.ts'
import { Tally } from '../../src/demo/tally.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'

it('goes as far as the tally allows, in steps, and tries a failed step again', async () => {
  const asked: number[] = []
  let isLeaderless = true
  const call = async (_method: string, below: number): Promise<void> => {
    asked.push(below)
    if (isLeaderless) throw new Error('no leader')
  }
  const cluster = { leader: { running: { call } } } as unknown as Cluster
  const tally = new Tally(5 * LOOKED_UP_IDS, 4)
  const pruning = new Pruning(100)
  const step = async (): Promise<void> => {
    pruning.step(cluster, tally)
    await turn()
  }
  await step()
  isLeaderless = false
  for (let i = 0; i < 5; i += 1) await step()
  assert.deepEqual(asked, [2_148, 2_148, 4_196, 5 * LOOKED_UP_IDS])
})

it('removes the rows from the files of all nodes', async (t) => {
  const dataDir = temporaryDirectory(t)
  const supervisor = await Supervisor.start({ dataDir, progress: () => {}, publish: () => {} })
  t.after(() => supervisor.close())
  const { cluster } = supervisor
  const countRows = (): Promise<readonly (number | null)[]> =>
    Promise.all(
      cluster.running.map(async ({ running }) => {
        // A node that has not applied that far yet has no table to look into.
        const found = await running?.call('lookUp', LOOKED_UP_IDS).catch(() => null)
        return found?.counts.reduce((sum, count) => sum + count, 0) ?? null
      }),
    )
  for (let i = 0; i < 3; i += 1) supervisor.write(undefined, undefined)
  await until('three rows everywhere', async () => (await countRows()).join() === '3,3,3,3')
  supervisor.reset()
  await until('the rows of before are gone', async () => (await countRows()).join() === '0,0,0,0')
})
