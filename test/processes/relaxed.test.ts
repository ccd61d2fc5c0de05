import { it } from 'node:test'
import { runRelaxed } from './scenarios/relaxed.ts'

it('a relaxed member that is killed beside full ones comes back as a new one', async (t) => {
  const lines = await runRelaxed({ kills: 1, killsOfAll: 0 })
  for (const line of lines) t.diagnostic(line)
})
