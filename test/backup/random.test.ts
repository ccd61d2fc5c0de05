/** A few of the random cases; `npm run soak -- backups` has a thousand. */
import { test } from 'node:test'
import { runRandomCases } from './random-cases.ts'

test('whatever its cluster and target go through, a backup comes to what was there', async (t) => {
  const progress = (line: string): void => t.diagnostic(line)
  for (const line of await runRandomCases({ cases: 40, seed: 25, progress })) t.diagnostic(line)
})
