import { it } from 'node:test'
import { runPowerCuts } from './power-cut.ts'

it('all hosts lose power at once: the nodes lead and write again, and have all', async (t) => {
  const lines = await runPowerCuts({
    nodes: 3,
    by: 'addresses',
    cuts: 1,
    apartMsMax: 1_000,
    seed: 1,
  })
  for (const line of lines) t.diagnostic(line)
})
