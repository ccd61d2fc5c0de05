import { it } from 'node:test'
import { runTransactions } from './scenarios/transactions.ts'

it('counts every acknowledged transaction once, while leaders change and die', async (t) => {
  for (const line of await runTransactions({ changes: 20 })) t.diagnostic(line)
})
