/** Nodes with a real extension: one content, however it came there, and one list for all. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VECTOR, VECTOR_SCHEMA } from '../sqlite/vector.ts'
import { Cluster, nameNode } from './cluster.ts'
import { readHash } from './content.ts'
import { until } from './wait.ts'

const SEGMENT_BYTES = 256 * 1024
const INSERT = 'INSERT INTO v (id, body) VALUES (?, vec_f32(?))'
const NEWER = { ...VECTOR, version: '0.2.0' }
const LISTS = /vec@0\.1\.9.*vec@0\.2\.0|vec@0\.2\.0.*vec@0\.1\.9/

async function readNearest(cluster: Cluster, at: number, isolated: boolean): Promise<unknown> {
  const sql =
    "SELECT (SELECT sum(rowid) FROM w WHERE body MATCH '[7,1,0]' AND k = 1) AS nearest, " +
    '(SELECT count(*) FROM v) AS count, (SELECT text FROM v WHERE id = 107) AS text'
  const options = { consistency: 'strong', isolated } as const
  return (await cluster.node(at).call('execute', sql, [], options)).rows[0]
}

/** Stops all nodes, once they have applied the same. */
async function checkEqual(cluster: Cluster): Promise<void> {
  await cluster.untilEqual()
  await cluster.stop()
  const hashes = [0, 1, 2].map((at) => readHash(cluster.dataDir(at), { extensions: [VECTOR] }))
  assert.equal(new Set(hashes).size, 1)
}

test('three nodes with an extension have one content, received and restarted', async (t) => {
  const cluster = await Cluster.start({
    extensions: [VECTOR],
    logSegmentBytes: SEGMENT_BYTES,
    logRetainBytes: 8 * SEGMENT_BYTES,
  })
  t.after(() => cluster.end())
  for (const sql of VECTOR_SCHEMA) await cluster.node(0).call('execute', sql)
  const absent = ((await cluster.leader()) + 1) % 3
  await cluster.node(absent).kill()
  const others = [0, 1, 2].filter((at) => at !== absent) as [number, number]
  for (let id = 0; id < 10; id += 1) {
    await cluster.node(others[id % 2] as number).call('execute', INSERT, [id, `[${id},1,0]`])
  }
  await cluster
    .node(others[0])
    .call('execute', 'INSERT INTO w (rowid, body) SELECT id, body FROM v')
  const { commitIndex } = await cluster.node(others[0]).call('status')
  await cluster.node(others[0]).call('execute', 'CREATE TABLE filler (body)')
  await until('the log that the absent node needs is gone', async () => {
    const body = new Uint8Array(SEGMENT_BYTES)
    await cluster.node(others[0]).call('execute', 'INSERT INTO filler VALUES (?)', [body])
    const { compactedIndex } = await cluster.node(await cluster.leader()).call('status')
    return compactedIndex > commitIndex
  })
  await cluster.startNode(absent)
  const wanted = { count: 20, nearest: 7, text: '[14.000000,2.000000,0.000000]' }
  for (const at of [0, 1, 2]) {
    for (const isolated of [false, true]) {
      assert.deepEqual({ ...((await readNearest(cluster, at, isolated)) as object) }, wanted)
    }
  }
  const { counters } = await cluster.node(absent).call('status')
  assert.equal(counters.snapshotsReceived, 1)
  const { members, differing } = await cluster.node(absent).call('verify')
  assert.deepEqual(
    members.map(({ error }) => error),
    [null, null, null],
  )
  assert.deepEqual(differing, [])
  await checkEqual(cluster)
  await Promise.all([0, 1, 2].map((at) => cluster.startNode(at)))
  await cluster.node(absent).call('execute', 'UPDATE v SET body = vec_normalize(body)')
  await checkEqual(cluster)
})

test('a node with another list does not get in, and both sides say why', async (t) => {
  const cluster = await Cluster.start({ extensions: [VECTOR] })
  t.after(() => cluster.end())
  const joiner = cluster.startProcess(3)
  const options = { ...cluster.optionsOf(0), nodeId: 'other', dataDir: `${cluster.dataDir(0)}-x` }
  const joining = { ...options, bind: '127.0.0.1:0', bootstrap: false, join: cluster.address(0) }
  for (const extensions of [[NEWER], []]) {
    await assert.rejects(joiner.call('open', { ...joining, extensions }), {
      code: 'ERR_OTHER_EXTENSIONS',
      message: extensions.length === 0 ? /vec@0\.1\.9.*\(none\)/ : LISTS,
    })
  }
  await joiner.kill()
  await cluster.node(1).kill()
  const member = cluster.startProcess(1)
  await member.call('open', { ...cluster.optionsOf(1), extensions: [NEWER] })
  for (const at of [0, 1]) {
    await until(`${nameNode(at)} says why`, () => {
      const warnings = cluster.node(at).eventsOf('warning')
      return warnings.some(({ code, message }) => {
        return code === 'ERR_OTHER_EXTENSIONS' && LISTS.test(message)
      })
    })
  }
  await member.kill()
  await cluster.startNode(1)
  await cluster.node(1).call('execute', VECTOR_SCHEMA[0] as string)
})
