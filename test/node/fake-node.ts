import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ColmenaNode, type OpenOptions, openNode } from '../../src/node/node.ts'
import { type FakeThread, FakeThreads } from './fakes.ts'
import { temporaryDirectory } from './temporary.ts'

export interface Rig {
  readonly dataDir: string
  readonly threads: FakeThreads
  readonly opening: Promise<ColmenaNode>
}

export function begin(t: TestContext, more: Partial<OpenOptions> = {}): Rig {
  const dataDir = more.dataDir ?? temporaryDirectory(t)
  const threads = new FakeThreads()
  const opening = openNode({ dataDir, ...more }, threads.start)
  // Judged later, when the test looks at it.
  opening.catch(() => {})
  return { dataDir, threads, opening }
}

export interface OpenRig {
  readonly dataDir: string
  readonly node: ColmenaNode
  readonly engine: FakeThread
  readonly storage: FakeThread
}

/** Rejects when `opening` does. */
async function failed(opening: Promise<unknown>): Promise<never> {
  await opening
  throw new Error('opened before its threads were started')
}

/** A node whose threads are fakes and have said all that belongs to an open. */
export async function openFake(t: TestContext, more: Partial<OpenOptions> = {}): Promise<OpenRig> {
  const { dataDir, threads, opening } = begin(t, more)
  const engine = await Promise.race([threads.started('engine'), failed(opening)])
  for (const folder of ['log', 'db']) mkdirSync(join(dataDir, folder), { recursive: true })
  engine.say({ kind: 'startStorage', generation: 1, genesis: null })
  const storage = await threads.started('storage')
  engine.say({ kind: 'established' })
  engine.say({ kind: 'ready', port: 0 })
  const node = await opening
  engine.answers.set('close', () => {
    engine.say({ kind: 'closed', isDurable: true })
    engine.exit()
    storage.exit()
  })
  t.after(() => node.close())
  return { dataDir, node, engine, storage }
}
