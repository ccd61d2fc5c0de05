import type { TestContext } from 'node:test'
import { type ColmenaNode, type Database, open } from '../../src/index.ts'
import { createJobs, type Jobs, type JobsOptions } from '../../src/jobs/jobs.ts'
import { shareNode } from '../node/shared-node.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { until } from '../processes/wait.ts'

export interface Fixture {
  readonly node: ColmenaNode
  readonly db: Database
  readonly jobs: Jobs
}

/**
 * A node without a network, and its jobs, on an empty database. The tests of a process share the
 * node, one after another, as opening one is most of what they would cost.
 */
export async function openJobs(t: TestContext, options: JobsOptions = {}): Promise<Fixture> {
  const { node } = await shareNode()
  return { node, db: node.database(), jobs: startJobs(t, node, options) }
}

/** The same on a node of the test's own, which it may close. */
export async function openJobsAlone(t: TestContext): Promise<Fixture> {
  const node = await open({ dataDir: temporaryDirectory(t) })
  t.after(() => node.close())
  return { node, db: node.database(), jobs: startJobs(t, node) }
}

/** One more handle of a node, as another part of a program may have. */
export function startJobs(t: TestContext, node: ColmenaNode, options: JobsOptions = {}): Jobs {
  const jobs = createJobs(node, { drainMs: 0, pollMs: 50, ...options })
  t.after(() => jobs.close())
  return jobs
}

/** What a handler waits at until it is told to go on. */
export class Gate {
  readonly #waiting: (() => void)[] = []
  #isOpen = false
  arrived = 0

  pass(): Promise<void> {
    this.arrived += 1
    if (this.#isOpen) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  open(): void {
    this.#isOpen = true
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export async function stateOf(jobs: Jobs, id: string): Promise<string> {
  return (await jobs.find(id))?.state ?? 'none'
}

export async function untilState(jobs: Jobs, id: string, state: string): Promise<void> {
  await until(`job ${id} is ${state}`, async () => (await stateOf(jobs, id)) === state)
}
