/** A leader and a node that follows it: the tools run on the one that does not lead. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { type ColmenaNode, type Database, open } from '../../src/index.ts'

export interface Databases {
  /** An empty one, seen from the follower. */
  fresh(): Database
  /** The same as the leader has it. */
  onLeader(db: Database): Database
}

/** Opens two nodes before the tests of a file, and closes them after. */
export function openDatabases(): Databases {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-dialects-'))
  let leader: ColmenaNode | undefined
  let follower: ColmenaNode | undefined
  let count = 0
  before(async () => {
    const dataDir = join(folder, 'a')
    leader = await open({ nodeId: 'a', dataDir, bind: '127.0.0.1:0', bootstrap: true })
    follower = await open({
      nodeId: 'b',
      dataDir: join(folder, 'b'),
      bind: '127.0.0.1:0',
      join: leader.address,
    })
    assert.equal(follower.isLeader, false)
  })
  after(async () => {
    await follower?.close()
    await leader?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    fresh: () => {
      count += 1
      assert.ok(follower !== undefined)
      return follower.database(`case-${count}`)
    },
    onLeader: ({ name }) => {
      assert.ok(leader !== undefined)
      return leader.database(name)
    },
  }
}
