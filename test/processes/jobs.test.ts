import { it } from 'node:test'
import { runJobs } from './scenarios/jobs.ts'

it('runs each job to one success, within all limits, while leaders are killed', async (t) => {
  for (const line of await runJobs({ jobs: 600, killEvery: 150 })) t.diagnostic(line)
})
