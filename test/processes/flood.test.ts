import { it } from 'node:test'
import { runFlood } from './scenarios/flood.ts'

for (const through of ['leader', 'follower'] as const) {
  it(`refuses what is too much through the ${through}, and stays small`, async (t) => {
    const lines = await runFlood({ durationMs: 1_500, through })
    for (const line of lines) t.diagnostic(line)
  })
}
