import { type ColmenaNode, open } from '../index.ts'
import { makeFolder, removeFolder } from './folders.ts'
import { type TestNodeOptions, toNodeOptions } from './options.ts'

/**
 * A node for one test, or for one file of tests: a cluster of itself, without network, whose data
 * is gone once it is closed, or when the process exits. It is relaxed, so its writes wait for no
 * disk, and takes some 0.4 MB of it.
 *
 * @throws ColmenaError as `open`
 * @example
 * await using node = await createTestNode()
 * const db = node.database()
 * await db.execute('CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)')
 */
export async function createTestNode(options: TestNodeOptions = {}): Promise<ColmenaNode> {
  const checked = toNodeOptions(options)
  const dataDir = makeFolder()
  try {
    const node = await open({ ...checked, dataDir })
    // Before `close` resolves, and also where the node fails; else the exit of the process does it.
    node.once('closed', () => removeFolder(dataDir))
    return node
  } catch (error) {
    removeFolder(dataDir)
    throw error
  }
}
