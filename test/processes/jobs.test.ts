import { it } from 'node:test'
import { runJobs } from './scenarios/jobs.ts'
import { runUniqueJobs } from './scenarios/unique-jobs.ts'

it('runs each job to one success, within all limits, while leaders are killed', async (t) => {
  for (const line of await runJobs({ jobs: 600, killEvery: 150 })) t.diagnostic(line)
})

it('never has two unfinished jobs of one unique key, from whichever nodes they come', async (t) => {
  t.diagnostic(await runUniqueJobs({ enqueues: 600, keys: 10 }))
})
