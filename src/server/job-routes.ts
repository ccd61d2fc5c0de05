import { ColmenaError } from '../index.ts'
import type { JobState, Jobs } from '../jobs/jobs.ts'
import { readCount } from './query.ts'
import type { Call, Route } from './routes.ts'

/** Who asks over HTTP holds up nobody else: a search reads every row. */
type Reading = { readonly signal: AbortSignal; readonly isolated: true }

/** The jobs of the cluster, for people and for what watches them; null where there are none. */
export function createJobRoutes(jobs: Jobs | null): Route[] {
  const reading = (path: string, read: (jobs: Jobs, call: Call) => Promise<object>): Route => ({
    method: 'GET',
    right: 'read',
    path,
    answer: async (call) => Response.json(await read(checkGiven(jobs), call)),
  })
  const changing = (path: string, change: (jobs: Jobs, call: Call) => Promise<boolean>): Route => ({
    method: 'POST',
    right: 'write',
    path,
    answer: async (call) => Response.json({ done: await change(checkGiven(jobs), call) }),
  })
  return [
    reading('/jobs', readPage),
    reading('/jobs/stats', async (given, call) => ({
      types: await given.stats(toReading(call)),
      node: given.metrics(),
    })),
    reading('/jobs/schedules', async (given, call) => ({
      schedules: await given.schedules(toReading(call)),
    })),
    reading('/jobs/job/:id', readJob),
    changing('/jobs/job/:id/retry', (given, { param, signal }) =>
      given.retry(param('id'), { signal }),
    ),
    changing('/jobs/job/:id/cancel', (given, { param, signal }) =>
      given.cancel(param('id'), { signal }),
    ),
    changing('/jobs/job/:id/run', (given, { param, signal }) =>
      given.runNow(param('id'), { signal }),
    ),
    changing('/jobs/types/:type/pause', async (given, { param, signal }) => {
      await given.pause(param('type'), { signal })
      return true
    }),
    changing('/jobs/types/:type/resume', async (given, { param, signal }) => {
      await given.resume(param('type'), { signal })
      return true
    }),
    changing('/jobs/schedules/:id/unschedule', (given, { param, signal }) =>
      given.unschedule(param('id'), { signal }),
    ),
  ]
}

function checkGiven(jobs: Jobs | null): Jobs {
  if (jobs !== null) return jobs
  throw new ColmenaError(
    'ERR_NOT_FOUND',
    'this server was given no jobs: pass it { jobs: createJobs(node) }, or with { workers: 0 } ' +
      'where none are to run there',
  )
}

async function readPage(jobs: Jobs, call: Call): Promise<object> {
  // A form that was not filled in sends empty texts.
  const asked = (name: string): string | undefined => call.query(name) || undefined
  return jobs.list({
    // Checked there: what is no state is refused with those that are.
    state: asked('state') as JobState | undefined,
    type: asked('type'),
    tag: asked('tag'),
    search: asked('search'),
    limit: readCount('limit', asked('limit')),
    before: readCount('before', asked('before')),
    ...toReading(call),
  })
}

async function readJob(jobs: Jobs, call: Call): Promise<object> {
  const id = call.param('id')
  const job = await jobs.find(id, toReading(call))
  if (job === null) {
    throw new ColmenaError('ERR_NOT_FOUND', `there is no job '${id}', or no more`)
  }
  return { job, attempts: await jobs.attempts(id, toReading(call)) }
}

function toReading({ signal }: Call): Reading {
  return { signal, isolated: true }
}
