import { it } from 'node:test'
import { runChanges } from './scenarios/changes.ts'

it('tells every change once, in order, while readers are killed and leaders change', async (t) => {
  for (const line of await runChanges({ kills: 9 })) t.diagnostic(line)
})
