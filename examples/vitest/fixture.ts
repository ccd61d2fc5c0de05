import { randomUUID } from 'node:crypto'
import type { ColmenaNode, Database } from 'colmena'
import { createTestNode } from 'colmena/testing'
import { test as base } from 'vitest'
import { MIGRATIONS } from './notes.ts'

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
      await using node = await createTestNode()
      await use(node)
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
