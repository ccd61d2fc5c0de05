import { it } from 'node:test'
import { runSecurity } from './scenarios/security.ts'

it('refuses strangers at every port, tells them nothing, works on, stays small', async (t) => {
  const lines = await runSecurity({ each: 25, isInTurn: false })
  for (const line of lines) t.diagnostic(line)
})
