import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ColmenaNode, type Database, open } from 'colmena'
import { test as base } from 'vitest'

const MIGRATIONS = [
  {
    version: 1,
    name: 'notes',
    up: 'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE)',
  },
]

interface Fixtures {
  /** A database of this test alone, with the schema and nothing in it. */
  readonly db: Database
  /** The node that it is on. */
  readonly node: ColmenaNode
}

export const test = base.extend<Fixtures>({
  // One for the file.
  node: [
    // biome-ignore lint/correctness/noEmptyPattern: Vitest reads from it what a fixture needs.
    async ({}, use) => {
      const dataDir = await mkdtemp(join(tmpdir(), 'notes-test-'))
      const node = await open({ dataDir })
      await use(node)
      await node.close()
      await rm(dataDir, { recursive: true })
    },
    { scope: 'file' },
  ],
  // One for each test.
  db: async ({ node }, use) => {
    const database = `test-${randomUUID()}`
    await node.migrate(MIGRATIONS, { database })
    await use(node.database(database))
  },
})
