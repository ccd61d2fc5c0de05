import { it } from 'node:test'
import { runFlaps } from './scenarios/flaps.ts'

it('elects nobody while a link breaks five times a second', async (t) => {
  const lines = await runFlaps({ everyMs: 200, durationMs: 4_000 })
  for (const line of lines) t.diagnostic(line)
})
