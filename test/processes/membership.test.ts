import { it } from 'node:test'
import { runMembership } from './scenarios/membership.ts'

it('no write fails for ever while a cluster grows to five nodes and shrinks to one', async (t) => {
  const lines = await runMembership({ durationMs: 0, clients: 4, restMs: 10 })
  for (const line of lines) t.diagnostic(line)
})
