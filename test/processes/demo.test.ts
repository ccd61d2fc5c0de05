import { it } from 'node:test'
import { runDemoForm } from './scenarios/demo.ts'

it('loses nothing in the demo while its nodes are broken one after the other', async (t) => {
  const form = { durationMs: 6_000, ratePerSecond: 200, breakEverySeconds: 2, memoryFromMs: null }
  for (const line of await runDemoForm(form)) t.diagnostic(line)
})
