import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { monotonicMs } from '../clock.ts'
import { median } from '../figures.ts'
import type { GroupContext } from './group.ts'

type Testing = typeof import('../../src/testing/testing.ts')

const NODES = 15
const CLUSTERS = 5

/** In this very process, as a test of an application has them in its own. */
export async function measureTestingGroup({ stage, report }: GroupContext): Promise<void> {
  const entry = pathToFileURL(join(stage.folder, 'dist/testing/testing.js'))
  const testing = (await import(entry.href)) as Testing
  const firstWrites: number[] = []
  const writes: number[] = []
  for (let count = 0; count < NODES; count += 1) {
    const calledMs = monotonicMs()
    await using node = await testing.createTestNode()
    const openedMs = monotonicMs()
    await node.database().execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)')
    const answeredMs = monotonicMs()
    firstWrites.push(answeredMs - calledMs)
    writes.push(answeredMs - openedMs)
  }
  report('testing.node.firstWriteMs', median(firstWrites))
  report('testing.node.writeMs', median(writes))
  const opens: number[] = []
  const failovers: number[] = []
  for (let count = 0; count < CLUSTERS; count += 1) {
    const calledMs = monotonicMs()
    await using cluster = await testing.createTestCluster({ nodes: 3 })
    const openedMs = monotonicMs()
    await cluster.isolateLeader()
    await cluster.leader()
    opens.push(openedMs - calledMs)
    failovers.push(monotonicMs() - openedMs)
  }
  report('testing.cluster.openMs', median(opens))
  report('testing.cluster.failoverMs', median(failovers))
}
