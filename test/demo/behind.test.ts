/** Rows that change behind Colmena's back, in the file of one node: the tally must see it. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { inProcesses } from '../../src/demo/processes.ts'
import type { Tally } from '../../src/demo/protocol.ts'
import { Supervisor } from '../../src/demo/supervisor.ts'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { databaseFile } from '../processes/content.ts'
import { until } from '../processes/wait.ts'

const WRITES = 5

/**
 * Writes a few rows, has one node's file changed while its process is dead (one that runs notices
 * foreign writes, and trusts its files no longer), and starts that node again.
 */
async function tamper(t: TestContext, sql: string): Promise<Supervisor> {
  const dataDir = temporaryDirectory(t)
  const supervisor = await Supervisor.start({
    open: inProcesses({ dataDir, progress: () => {} }),
    publish: () => {},
  })
  t.after(() => supervisor.close())
  for (let i = 0; i < WRITES; i += 1) supervisor.write(`write ${i}`, undefined)
  await untilTally(supervisor, { everywhere: WRITES })
  const follower = supervisor.cluster.whole.find((member) => member !== supervisor.cluster.leader)
  assert.ok(follower !== undefined)
  await follower.kill()
  const { DatabaseSync } = requireSqlite()
  const database = new DatabaseSync(databaseFile(join(dataDir, follower.id)))
  const { changes } = database.prepare(sql).run()
  database.close()
  assert.equal(changes, 1)
  supervisor.cluster.restart(follower.id)
  return supervisor
}

async function untilTally(supervisor: Supervisor, wanted: Partial<Tally>): Promise<void> {
  await until(`the tally has ${JSON.stringify(wanted)}`, () => {
    const { tally } = supervisor.hello().state
    return Object.entries(wanted).every(([key, value]) => tally[key as keyof Tally] === value)
  })
}

it('sees a row that is deleted in one file as lost', async (t) => {
  const supervisor = await tamper(t, "DELETE FROM writes WHERE text = 'write 3'")
  await untilTally(supervisor, { lost: 1, everywhere: WRITES - 1 })
  supervisor.write('another one', undefined)
  await untilTally(supervisor, { acknowledged: WRITES + 1, lost: 1, everywhere: WRITES })
  assert.equal(supervisor.hello().state.tally.duplicated, 0)
})

it('sees a row that is inserted twice in one file as duplicated', async (t) => {
  const again = "INSERT INTO writes SELECT * FROM writes WHERE text = 'write 3'"
  const supervisor = await tamper(t, again)
  await untilTally(supervisor, { duplicated: 1 })
  const { lost, everywhere, acknowledged } = supervisor.hello().state.tally
  assert.deepEqual([lost, everywhere, acknowledged], [0, WRITES, WRITES])
})
