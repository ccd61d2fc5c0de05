import { type ColmenaNode, open } from '../index.ts'
import { makeFolder, removeFolder } from './folders.ts'
import { runMigrations } from './migrations.ts'
import { type TestNodeOptions, toNodeConfig, withOwnOptions } from './options.ts'

/**
 * A node for one test, or for one file of tests: a cluster of itself, without network, whose data
 * is gone once it is closed, or when the process exits. It is relaxed, so its writes wait for no
 * disk, and takes some 0.4 MB of it.
 *
 * @throws ColmenaError as `open` and `migrate`
 * @example
 * const up = 'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)'
 * await using node = await createTestNode({ migrations: [{ version: 1, name: 'notes', up }] })
 * await node.database().execute('INSERT INTO notes (text) VALUES (?)', ['milk'])
 */
export async function createTestNode(options: TestNodeOptions = {}): Promise<ColmenaNode> {
  const { migrations, opened } = toNodeConfig(options)
  const dataDir = makeFolder()
  let node: ColmenaNode
  try {
    node = await open({ ...opened, dataDir })
  } catch (error) {
    removeFolder(dataDir)
    throw withOwnOptions(error, 'createTestNode itself has migrations')
  }
  // Before `close` resolves, and also where the node fails; else the exit of the process does it.
  node.once('closed', () => removeFolder(dataDir))
  try {
    await runMigrations(node, migrations, { signal: opened.signal })
    return node
  } catch (error) {
    await node.close()
    throw error
  }
}
