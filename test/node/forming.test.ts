/** Nodes that find each other: at the first start, after all have moved, and after a removal. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it } from 'node:test'
import { type ColmenaNode, type OpenOptions, open } from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { temporaryDirectory } from './temporary.ts'

const NAMES = ['a', 'b', 'c']

it('nodes begin one cluster, find each other after a move, and come back removed', async (t) => {
  const directory = temporaryDirectory(t)
  const addresses = new Map<string, string>()
  const warnings: { readonly at: string; readonly code: string; readonly message: string }[] = []
  const openOne = (nodeId: string, rest: Partial<OpenOptions> = {}): Promise<ColmenaNode> =>
    open({
      nodeId,
      dataDir: join(directory, nodeId),
      bind: addresses.get(nodeId),
      join: async () => [...addresses.values()],
      expectedVoters: 2,
      discoveryWindowMs: 300,
      ifRemoved: 'rejoin',
      heartbeatMs: 50,
      electionTimeoutMs: 500,
      logger: {
        warn: (message, details) => warnings.push({ at: nodeId, ...Object(details), message }),
      },
      ...rest,
    })
  const openAll = async (names: readonly string[]): Promise<ColmenaNode[]> => {
    const ports = await findFreePorts(names.length)
    for (const [at, name] of names.entries()) addresses.set(name, `127.0.0.1:${ports[at]}`)
    return Promise.all(names.map((name) => openOne(name)))
  }

  addresses.set('other', `127.0.0.1:${(await findFreePorts(1))[0]}`)
  let nodes = await openAll(NAMES)
  t.after(() => Promise.all(nodes.map((node) => node.close())))
  const ids = new Set((await Promise.all(nodes.map((n) => n.status()))).map((s) => s.clusterId))
  assert.equal(ids.size, 1)
  const [a] = nodes as [ColmenaNode, ColmenaNode, ColmenaNode]
  await a.database().execute('CREATE TABLE t (x)')
  await a.database().execute('INSERT INTO t VALUES (1)')
  await until('three voters', async () => {
    return (await a.members()).filter(({ role }) => role === 'voter').length === 3
  })

  // No configuration that any of them has says where the others are now.
  await Promise.all(nodes.map((node) => node.close()))
  nodes = await openAll(NAMES)
  for (const node of nodes) await node.waitForLeader({ timeoutMs: 60_000 })
  const moved = nodes[1] as ColmenaNode
  const { rows } = await moved.database().execute('SELECT x FROM t')
  assert.equal(rows[0]?.['x'], 1)
  await until('their new addresses are agreed on', async () => {
    const told = (await moved.members()).map(({ nodeId, address }) => [nodeId, address])
    return told.every(([nodeId, address]) => addresses.get(String(nodeId)) === address)
  })

  const gone = nodes[2] as ColmenaNode
  const { memberId } = gone
  await gone.close()
  await until('it is removed', () =>
    moved.removeMember('c').then(
      () => true,
      () => false,
    ),
  )
  await moved.database().execute('INSERT INTO t VALUES (2)')
  const back = await openOne('c')
  nodes[2] = back
  assert.notEqual(back.memberId, memberId)
  const count = await back.database().execute('SELECT count(*) AS n FROM t')
  assert.equal(count.rows[0]?.['n'], 2)

  // Another cluster at an address where one of this was looked for.
  const other = await openOne('other', {
    join: undefined,
    expectedVoters: undefined,
    bootstrap: true,
  })
  nodes.push(other)
  const warned = await until('the other cluster is reported', () =>
    warnings.find(({ at, message }) => at !== 'other' && /another cluster answers/.test(message)),
  )
  const { clusterId } = await other.status()
  assert.ok(warned.message.includes(clusterId.slice(0, 8)), warned.message)
  assert.equal((await moved.members()).length, 3)
})
