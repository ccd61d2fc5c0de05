import { it } from 'node:test'
import { runKills } from './scenarios/kills.ts'

it('keeps every acknowledged write, once and everywhere, while leaders are killed', async (t) => {
  const lines = await runKills({ durationMs: 4_000, killsMin: 2, restMs: 5 })
  for (const line of lines) t.diagnostic(line)
})
