import { it } from 'node:test'
import { runColdStarts } from './cold-starts.ts'

it('five machines that start at once make one cluster, whatever finds them', async (t) => {
  const ways = ['lan', 'fly', 'dns', 'srv'] as const
  const lines = await runColdStarts({ starts: ways.length, ways, seed: 1 })
  for (const line of lines) t.diagnostic(line)
})
