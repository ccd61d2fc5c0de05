/** Jobs where the leader knows of none: it runs no handlers, and looks after nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ColmenaNode, open } from '../../src/index.ts'
import { createJobs, job } from '../../src/jobs/jobs.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'

const work = job('work')

const isFollower = ({ isLeader, leader }: ColmenaNode): boolean => !isLeader && leader !== null

test('a follower runs jobs, fires schedules and removes what is old', async (t) => {
  const bind = (await findFreePorts(3)).map((port) => `127.0.0.1:${port}`)
  const nodes = await Promise.all(
    bind.map(async (address, at) => {
      const start = at === 0 ? { bootstrap: true } : { join: bind }
      const node = await open({ dataDir: temporaryDirectory(t), bind: address, ...start })
      t.after(() => node.close())
      return node
    }),
  )
  const follower = await until('one follows', () => nodes.find(isFollower))
  const jobs = createJobs(follower, {
    ...{ pollMs: 50, drainMs: 0 },
    retention: { keepMs: 0, everyMs: 100 },
  })
  t.after(() => jobs.close())
  jobs.handle(work, () => {})
  await jobs.schedule('tick', '* * * * * *', work)
  const { id } = await jobs.enqueue(work)
  await until('it ran and is gone', async () => (await jobs.find(id)) === null)
  await until('the schedule was fired', async () => (await jobs.schedules())[0]?.lastJobId)
  assert.ok(jobs.metrics().reaped >= 1)
  assert.equal(follower.isLeader, false)
})
