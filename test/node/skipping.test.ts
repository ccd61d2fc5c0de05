/** An entry that no member can apply is skipped on all of them, and who waits for it is told. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ColmenaNode, open } from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { damageRows, FILL_ROWS } from './damaged-rows.ts'
import { temporaryDirectory } from './temporary.ts'

test('what halts every member fails on all of them, and they go on', async (t) => {
  const ports = await findFreePorts(3)
  const directory = temporaryDirectory(t)
  const openNode = async (at: number): Promise<ColmenaNode> => {
    const node = await open({
      nodeId: `n${at}`,
      dataDir: join(directory, `${at}`),
      bind: `127.0.0.1:${ports[at]}`,
      requestTimeoutMs: 60_000,
      ...(at === 0 ? { bootstrap: true } : { join: `127.0.0.1:${ports[0]}` }),
    })
    t.after(() => node.close())
    return node
  }
  const openAll = (): Promise<ColmenaNode[]> => Promise.all([0, 1, 2].map(openNode))
  const whole = await openAll()
  await until('all vote', async () => {
    const members = await whole[0]?.members()
    return members?.filter(({ role }) => role === 'voter').length === 3
  })
  const { index: filled } = (await whole[0]?.database().batch(FILL_ROWS))?.at(-1) ?? { index: 0 }
  await until('all have it', async () => {
    const statuses = await Promise.all(whole.map((node) => node.status()))
    return statuses.every(({ appliedIndex }) => appliedIndex >= filled)
  })
  await Promise.all(whole.map((node) => node.close()))
  for (const at of [0, 1, 2]) damageRows(join(directory, `${at}`))

  const nodes = await openAll()
  const [asked, writer, other] = nodes as [ColmenaNode, ColmenaNode, ColmenaNode]
  const outcome = writer.database().execute('UPDATE t SET b = 1')
  const voided = assert.rejects(outcome, { code: 'ERR_VOIDED', outcome: 'not-applied' })
  const reasons = async (): Promise<readonly (string | null)[]> => {
    return (await Promise.all(nodes.map((node) => node.status()))).map(
      ({ haltedReason }) => haltedReason,
    )
  }
  await until('all stand still', async () => {
    return (await reasons()).every((reason) => reason?.includes('malformed'))
  })
  const [, index = 0] = /entry (\d+)/.exec((await reasons())[0] ?? '') ?? []
  // Another one than that is not skipped, and leaves all as they are.
  await assert.rejects(asked.skip(filled), { code: 'ERR_INVALID_ARGUMENT' })
  await until('it is skipped', async () => {
    // A group that failed is tried once more, entry by entry, before it is known which one it is.
    return asked.skip(Number(index)).then(
      () => true,
      (error: Error) => assert.match(error.message, /may be at it/) ?? false,
    )
  })
  await voided
  await until('all go on', async () => (await reasons()).every((reason) => reason === null))
  await other.database().execute('CREATE TABLE u (a)')
  for (const node of nodes) await node.database().execute("INSERT INTO u VALUES ('behind')")
  const rows = async (node: ColmenaNode): Promise<number> =>
    (await node.database().execute('SELECT a FROM u', [], { consistency: 'strong' })).rows.length
  assert.deepEqual(await Promise.all(nodes.map(rows)), [3, 3, 3])
  await other.close()
  assert.equal(await rows(await openNode(2)), 3)
})
