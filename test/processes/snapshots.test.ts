import { it } from 'node:test'
import { runSnapshots } from './scenarios/snapshots.ts'

it('brings a node back by snapshot when the log is gone, while writes go on', async (t) => {
  const lines = await runSnapshots({ ballastMib: 32 })
  for (const line of lines) t.diagnostic(line)
})
