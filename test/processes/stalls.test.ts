import { it } from 'node:test'
import { runStalls } from './scenarios/stalls.ts'

it('elects nobody while a user thread is blocked or a statement takes long', async (t) => {
  const lines = await runStalls({ blockMs: 3_000, rows: 100_000 })
  for (const line of lines) t.diagnostic(line)
})
