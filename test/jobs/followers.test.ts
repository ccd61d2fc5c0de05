/** Jobs where the leader knows of none: it runs no handlers, and looks after nothing. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ColmenaNode, open } from '../../src/index.ts'
import { createJobs, job } from '../../src/jobs/jobs.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'

const work = job('work')

const isFollower = ({ isLeader, leader }: ColmenaNode): boolean => !isLeader && leader !== null

async function openThree(t: TestContext): Promise<readonly ColmenaNode[]> {
  const bind = (await findFreePorts(3)).map((port) => `127.0.0.1:${port}`)
  return Promise.all(
    bind.map(async (address, at) => {
      const start = at === 0 ? { bootstrap: true } : { join: bind }
      const node = await open({ dataDir: temporaryDirectory(t), bind: address, ...start })
      t.after(() => node.close())
      return node
    }),
  )
}

test('jobs close where no majority hears how the last ones ended', async (t) => {
  const [first, ...others] = await openThree(t)
  const jobs = createJobs(first as ColmenaNode, { drainMs: 0, graceMs: 50 })
  let arrived = false
  jobs.handle(work, () => {
    arrived = true
    return new Promise<never>(() => {})
  })
  await jobs.enqueue(work)
  await until('it runs', () => arrived)
  await Promise.all(others.map((node) => node.close()))
  await jobs.close()
})

test('a follower runs jobs, fires schedules and removes what is old', async (t) => {
  const nodes = await openThree(t)
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
