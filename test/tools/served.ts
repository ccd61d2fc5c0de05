/** Three nodes, and the server of one that follows: what the tools of others talk to. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { type ColmenaNode, type Database, open } from '../../src/index.ts'
import { createServer, type Server } from '../../src/server/server.ts'
import { checkIntegrity, hashContent, Reader } from '../../src/sqlite/sqlite.ts'

export const TOKEN = 'the-token-of-the-tools'

/** Of the server in docs/tools.md, whose database is `main`. */
const ORIGIN = 'http://127.0.0.1:8080'

/** A database of its own for a test, with all of Colmena's own tables in it. */
export interface ServedDatabase {
  /** That follows, and whose server it is. */
  readonly node: ColmenaNode
  readonly db: Database
  readonly url: string
  /** A recipe of docs/tools.md for this database. */
  adapt(recipe: string): string
  /** That Colmena's own tables are what they were, and the files of all nodes whole and alike. */
  assertUnharmed(): Promise<void>
}

export interface Served {
  fresh(name: string): Promise<ServedDatabase>
}

/** Opens all before the tests of a file, and closes it after. */
export function openServed(): Served {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-tools-'))
  const nodes: ColmenaNode[] = []
  let server: Server | undefined
  before(async () => {
    for (const nodeId of ['a', 'b', 'c']) {
      const [first] = nodes
      const start = first === undefined ? { bootstrap: true } : { join: first.address }
      const dataDir = join(folder, nodeId)
      nodes.push(await open({ nodeId, dataDir, bind: '127.0.0.1:0', ...start }))
    }
    const follower = nodes.at(-1) as ColmenaNode
    assert.equal(follower.isLeader, false)
    server = await createServer(follower, { port: 0, tokens: { [TOKEN]: 'write' } })
  })
  after(async () => {
    await server?.close({ signal: AbortSignal.abort() })
    for (const node of nodes.reverse()) await node.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const read = <T>(database: string, nodeId: string, look: (reader: Reader) => T): T => {
    const reader = new Reader(databaseFile(join(folder, nodeId, 'db'), database))
    try {
      return look(reader)
    } finally {
      reader.close()
    }
  }
  return {
    fresh: async (name) => {
      const node = nodes.at(-1) as ColmenaNode
      const origin = server?.url ?? ''
      const up = 'CREATE TABLE gone (a); DROP TABLE gone'
      await node.migrate([{ version: 1, name: 'gone', up }], { database: name })
      const before = read(name, 'c', describeOwnTables)
      assert.ok(before.length > 2, `own tables: ${before.length}`)
      return {
        node,
        db: node.database(name),
        url: `${origin}/db/${name}/`,
        adapt: (recipe) =>
          recipe
            .replaceAll(ORIGIN, origin)
            .replaceAll('/db/main/', `/db/${name}/`)
            .replaceAll("database('main'", `database('${name}'`),
        assertUnharmed: async () => {
          const found: unknown[] = []
          for (const each of nodes) {
            await each.database(name).sync({ consistency: 'strong' })
            found.push(
              read(name, each.nodeId, (reader) => [
                checkIntegrity(reader),
                describeOwnTables(reader),
                hashContent(reader),
              ]),
            )
          }
          const [, , hash] = found[0] as unknown[]
          assert.deepEqual(
            found,
            nodes.map(() => ['ok', before, hash]),
          )
        },
      }
    },
  }
}

function databaseFile(folder: string, name: string): string {
  const generations = readdirSync(folder).filter((each) => /^\d+$/.test(each))
  const newest = generations.sort((a, b) => Number(a) - Number(b)).at(-1)
  return join(folder, newest ?? 'none', `${name}.db`)
}

const OWN = "SELECT name, sql FROM main.sqlite_schema WHERE name GLOB '_colmena_*' ORDER BY name"

/** How they were made, and the migration that they remember; the rest of them counts on. */
function describeOwnTables(reader: Reader): readonly unknown[] {
  return reader.internal(() => [
    ...reader.own(OWN).all(),
    ...reader.own('SELECT * FROM _colmena_migrations WHERE version = 1').all(),
  ])
}
