/**
 * For tests of applications: real nodes in the test's own process, that are gone without a trace
 * once they are closed.
 *
 * A test node is alone and waits for no disk. A test cluster has nodes on loopback, whose links can
 * be cut and which can be killed; every wait ends by a deadline, and its error tells how each node
 * was.
 *
 * It leaves to the core whatever a node does: nothing is mocked, and no clock but the real one.
 */
export type { NodeReference, TestCluster } from './cluster.ts'
export { ConvergenceError, type LaggingNode } from './convergence.ts'
export { createTestNode } from './node.ts'
export type {
  AddNodeOptions,
  TestClusterOptions,
  TestMigrations,
  TestNodeOptions,
} from './options.ts'

import { TestCluster } from './cluster.ts'
import { type TestClusterOptions, toClusterConfig } from './options.ts'

/**
 * Nodes of one cluster in this process. It resolves once all have joined and applied the same; of
 * an even number one waits for one more before it votes.
 *
 * @throws ColmenaError as `open`; ERR_TIMEOUT, with how each node was; ERR_ABORTED
 * @example
 * await using cluster = await createTestCluster({ nodes: 3 })
 * const db = cluster.node('node-2').database()
 * await cluster.isolateLeader()
 * await (await cluster.leader()).database().execute('CREATE TABLE notes (text TEXT)')
 */
export async function createTestCluster(options: TestClusterOptions = {}): Promise<TestCluster> {
  return TestCluster.create(toClusterConfig(options))
}
