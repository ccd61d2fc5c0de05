import { it } from 'node:test'
import { runUpgrade } from './scenarios/upgrade.ts'

// The first leader is node 0, in the midst here; the long form has every order.
it('upgrades one node after the other to a newer format while they write', async (t) => {
  t.diagnostic(await runUpgrade([2, 0, 1]))
})
