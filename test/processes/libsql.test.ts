/** The client that everybody has, against a follower, while the machines around it die. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from '@libsql/client/http'
import { open } from '../../src/index.ts'
import { createServer } from '../../src/server/server.ts'
import { temporaryDirectory } from '../node/temporary.ts'
import { Cluster } from './cluster.ts'
import { findFreePorts } from './free-port.ts'
import { until } from './wait.ts'

const REQUEST_TIMEOUT_MS = 3_000
/** What every failure of a write says, in words. */
const VERDICT = /\((?:retryable: nothing was applied|committed: .*|unknown outcome: .*)\)$/

test("libsql's client works through a follower, and hears what became of each write", async (t) => {
  const ports = await findFreePorts(3)
  const cluster = new Cluster(ports.slice(0, 2), { secret: 'of the whole cluster' })
  t.after(() => cluster.end())
  await cluster.startNode(0)
  await cluster.startNode(1)
  const node = await open({
    nodeId: 'served',
    dataDir: temporaryDirectory(t),
    bind: `127.0.0.1:${ports[2]}`,
    join: cluster.address(0),
    secret: 'of the whole cluster',
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  })
  t.after(() => node.close())
  await cluster.untilVoters(2)
  await until('it votes, and follows', async () => {
    const { role, isLearner } = await node.status()
    return role === 'follower' && !isLearner
  })
  const authToken = 'a-token-that-may-write'
  const server = await createServer(node, { port: 0, tokens: { [authToken]: 'write' } })
  t.after(() => server.close())
  const url = `${server.url}/db/app/`
  const client = createClient({ url, authToken, intMode: 'bigint' })
  t.after(() => client.close())

  const bytes = new Uint8Array([1, 0, 255])
  await client.migrate(['CREATE TABLE t (id INTEGER PRIMARY KEY, big INTEGER, bytes BLOB)'])
  const [inserted] = await client.batch(
    [{ sql: 'INSERT INTO t VALUES (0, ?, ?) RETURNING *', args: [2n ** 63n - 2n, bytes] }],
    'write',
  )
  const row = { id: 0n, big: 2n ** 63n - 2n, bytes: bytes.buffer }
  assert.deepEqual({ ...inserted?.rows[0] }, row)
  assert.deepEqual({ ...(await client.execute('SELECT * FROM t')).rows[0] }, row)

  const acknowledged: number[] = []
  const failures = new Map<number, Error>()
  let lastId = 0
  let isOver = false
  const write = async (): Promise<void> => {
    while (!isOver) {
      lastId += 1
      const id = lastId
      try {
        await client.execute({ sql: 'INSERT INTO t (id) VALUES (?)', args: [id] })
        acknowledged.push(id)
      } catch (error) {
        failures.set(id, error as Error)
      }
    }
  }
  const writers = [write(), write(), write(), write()]
  const more = (count: number): Promise<unknown> => {
    const wanted = acknowledged.length + count
    return until(`${wanted} acknowledged writes`, () => acknowledged.length >= wanted)
  }
  await more(50)
  await cluster.node(await cluster.leader()).kill()
  await more(50)
  // With the second one gone there is no majority: nothing can be acknowledged any more.
  for (const other of cluster.running) await other.kill()
  await until('writes fail', () => failures.size >= 4)
  isOver = true
  await Promise.all(writers)

  for (const { message } of failures.values()) assert.match(message, VERDICT)
  const local = { consistency: 'none' } as const
  const { rows } = await node.database('app').execute('SELECT id FROM t', [], local)
  const ids = new Set(rows.map(({ id }) => id))
  for (const id of acknowledged) assert.ok(ids.has(id), `write ${id} was acknowledged`)
  for (const [id, { message }] of failures) {
    if (message.includes('nothing was applied')) assert.ok(!ids.has(id), message)
  }
})
