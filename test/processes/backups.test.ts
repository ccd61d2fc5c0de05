import { it } from 'node:test'
import { runBackups } from './scenarios/backups.ts'

it('has in a backup what its leaders had put there when they were killed', async (t) => {
  for (const line of await runBackups({ kills: 2, restMs: 5 })) t.diagnostic(line)
})
