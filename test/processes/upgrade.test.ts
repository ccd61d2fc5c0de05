import { it } from 'node:test'
import { runUpgrade } from './scenarios/upgrade.ts'

for (const order of [
  [0, 1, 2],
  [2, 0, 1],
]) {
  it(`upgrades nodes ${order.join(', ')} to a newer format while they write`, async (t) => {
    t.diagnostic(await runUpgrade(order))
  })
}
