import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'
import { temporaryDirectory } from './temporary.ts'

export interface SharedNode {
  readonly node: ColmenaNode
  readonly dataDir: string
}

let shared: SharedNode | undefined
const folder = mkdtempSync(join(tmpdir(), 'colmena-shared-'))

after(async () => {
  await shared?.node.close()
  rmSync(folder, { recursive: true, force: true })
})

/**
 * A node without a network or options, called 'one', that has no database. The tests of a process
 * share it, one after another, as opening one is most of what they would cost; after one that has
 * closed it there is another.
 */
export async function shareNode(): Promise<SharedNode> {
  shared ??= await openShared()
  const { node } = shared
  for (const { name } of (await node.status()).databases) await node.dropDatabase(name)
  return shared
}

/** The same, or one of the test's own where it needs options. */
export async function openOrShare(
  t: TestContext,
  options: Partial<OpenOptions>,
): Promise<SharedNode> {
  if (Object.keys(options).length === 0) return shareNode()
  const { dataDir = temporaryDirectory(t) } = options
  const node = await open({ dataDir, nodeId: 'one', ...options })
  t.after(() => node.close())
  return { node, dataDir }
}

async function openShared(): Promise<SharedNode> {
  const dataDir = mkdtempSync(join(folder, 'node-'))
  const node = await open({ dataDir, nodeId: 'one' })
  const opened = { node, dataDir }
  const close = node.close.bind(node)
  node.close = (...options) => {
    if (shared === opened) shared = undefined
    return close(...options)
  }
  return opened
}
