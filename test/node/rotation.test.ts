/** New secrets and certificates of nodes that work, and those who have the old ones. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ColmenaNode, type OpenOptions, open, type Rotation } from '../../src/index.ts'
import type { TransportSecurity } from '../../src/transport/transport.ts'
import { atDay, TestAuthority } from '../certificates/authority.ts'
import { until } from '../processes/wait.ts'
import { codeOf, openNode } from '../transport/cluster.ts'
import { temporaryDirectory } from './temporary.ts'

const OLD = 'an old secret of more than sixteen bytes'
const NEW = 'a new secret of more than sixteen bytes'
const NAMES = ['a', 'b', 'c']

type Way = (nodeId: string) => Promise<Rotation>

/** Three voters, each with what `way` gives it. */
async function openCluster(t: TestContext, way: Way): Promise<readonly ColmenaNode[]> {
  const directory = temporaryDirectory(t)
  const nodes: ColmenaNode[] = []
  t.after(() => Promise.all(nodes.map((node) => node.close())))
  for (const nodeId of NAMES) {
    const [first] = nodes
    const options: OpenOptions = {
      ...(await way(nodeId)),
      ...(first === undefined ? { bootstrap: true } : { join: first.address }),
      ...{ nodeId, dataDir: join(directory, nodeId), bind: '127.0.0.1:0' },
      // No election but that of a leader whose process is gone, however busy the machine is.
      electionTimeoutMs: 3_000,
    }
    nodes.push(await open(options))
  }
  await until('three voters', async () => {
    const members = await (nodes[0] as ColmenaNode).members()
    return members.filter(({ role }) => role === 'voter').length === NAMES.length
  })
  return nodes
}

/** Writes on all nodes, one after the other on each, until it is stopped. */
class Writers {
  readonly #done: Promise<unknown>
  readonly #counts: number[]
  #isOver = false

  constructor(nodes: readonly ColmenaNode[]) {
    this.#counts = nodes.map(() => 0)
    this.#done = Promise.all(nodes.map((node, at) => this.#write(node, at)))
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0)
  }

  /** Resolves once each node has written two more. */
  async goOn(): Promise<void> {
    const before = [...this.#counts]
    const isFurther = (): boolean =>
      this.#counts.every((count, at) => count >= (before[at] as number) + 2)
    await Promise.race([until('more writes', isFurther), this.#done])
  }

  /** @throws the first error of a write */
  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #write(node: ColmenaNode, at: number): Promise<void> {
    while (!this.#isOver) {
      await node.database().execute('INSERT INTO t (node) VALUES (?)', [node.nodeId])
      this.#counts[at] = (this.#counts[at] as number) + 1
    }
  }
}

/** Takes all nodes through the ways, one node after the other, while they write. */
async function rotateAll(nodes: readonly ColmenaNode[], ways: readonly Way[]): Promise<void> {
  const [first] = nodes as [ColmenaNode]
  await first.database().execute('CREATE TABLE t (id INTEGER PRIMARY KEY, node TEXT)')
  const { term } = await first.status()
  const writers = new Writers(nodes)
  for (const way of ways) {
    for (const node of nodes) {
      await node.rotate(await way(node.nodeId))
      await writers.goOn()
    }
  }
  await writers.stop()
  const { rows } = await first.database().execute('SELECT count(*) AS n FROM t')
  assert.equal(rows[0]?.['n'], writers.count)
  const terms = await Promise.all(nodes.map(async (node) => (await node.status()).term))
  assert.deepEqual(terms, [term, term, term])
}

/** Both ways: by whom is dialed, and by whom dials. */
async function refusesAll(
  t: TestContext,
  nodes: readonly ColmenaNode[],
  security: TransportSecurity,
  message: RegExp,
): Promise<void> {
  const stranger = await openNode(t, { memberId: 9, security })
  for (const { address } of nodes) {
    const { error } = await stranger.call(address, 1, 'let me in')
    assert.equal(codeOf(error), 'ERR_HANDSHAKE')
    assert.match(error?.message ?? '', message)
  }
}

test('a new secret, node by node under writes: none fails, and nobody else leads', async (t) => {
  const nodes = await openCluster(t, async () => ({ secret: OLD }))
  await rotateAll(nodes, [async () => ({ secret: [NEW, OLD] }), async () => ({ secret: NEW })])
  await refusesAll(t, nodes, { kind: 'psk', secrets: [OLD] }, /another secret/)
})

test('new certificates, and a new CA: none fails, and nobody else leads', async (t) => {
  const [old, renewed] = [
    await TestAuthority.create('old CA'),
    await TestAuthority.create('new CA'),
  ]
  const both = [renewed, old]
  const wayOf =
    (by: TestAuthority, trusted: readonly TestAuthority[]): Way =>
    async (nodeId) => {
      const { kind: _, ...tls } = await by.tls(nodeId, trusted)
      return { tls }
    }
  const nodes = await openCluster(t, wayOf(old, [old]))
  await rotateAll(nodes, [wayOf(old, both), wayOf(renewed, both), wayOf(renewed, [renewed])])
  await refusesAll(t, nodes, await old.tls('node-9', both), /was signed by CN=old CA/)
})

test('what is not good for this node changes nothing', async (t) => {
  const authority = await TestAuthority.create()
  const { kind: _, ...tls } = await authority.tls('a')
  const { kind: __, ...others } = await authority.tls('b')
  const own = { bind: '127.0.0.1:0', bootstrap: true, nodeId: 'a' }
  await using secured = await open({ ...own, dataDir: temporaryDirectory(t), tls })
  await using shared = await open({ ...own, dataDir: temporaryDirectory(t), secret: OLD })
  await using plain = await open({ ...own, dataDir: temporaryDirectory(t) })
  const wrong: readonly (readonly [ColmenaNode, unknown, string, RegExp])[] = [
    [secured, { tls: others }, 'ERR_INVALID_OPTION', /tls.cert is for DNS:b.* this node is 'a'/],
    [
      secured,
      { tls: { ...tls, key: others.key } },
      'ERR_INVALID_OPTION',
      /not the key of tls.cert/,
    ],
    [secured, { secret: NEW }, 'ERR_INVALID_OPTION', /got secret, .* opened with tls/],
    [secured, { secret: NEW, tls }, 'ERR_INVALID_OPTION', /two ways/],
    [shared, { secret: 'short' }, 'ERR_WEAK_SECRET', /a secret of 5 bytes/],
    [shared, { tls }, 'ERR_INVALID_OPTION', /got tls, .* opened with secret/],
    [shared, {}, 'ERR_INVALID_OPTION', /needs a new secret, or a new tls/],
    [shared, { sceret: NEW }, 'ERR_INVALID_OPTION', /is 'secret' meant/],
    [shared, NEW, 'ERR_INVALID_OPTION', /must be an object/],
    [plain, { secret: NEW }, 'ERR_INVALID_OPTION', /opened with neither secret nor tls/],
  ]
  for (const [node, rotation, code, message] of wrong) {
    await assert.rejects(node.rotate(rotation as Rotation), { code, message })
  }
  const peer = await openNode(t, { memberId: 9, security: { kind: 'psk', secrets: [OLD] } })
  assert.notEqual(codeOf((await peer.call(shared.address, 1, 'x')).error), 'ERR_HANDSHAKE')
  await shared.rotate({ secret: NEW })
  assert.equal(codeOf((await peer.call(shared.address, 1, 'x')).error), 'ERR_HANDSHAKE')
  await shared.close()
  await assert.rejects(shared.rotate({ secret: OLD }), { code: 'ERR_CLOSED' })
})

test('a node whose certificate is about to end says so, until it has another one', async (t) => {
  const authority = await TestAuthority.create()
  const given = async (days: number) => {
    const { kind: _, ...tls } = await authority.tls('a', [authority], days)
    return { tls, endsMs: new X509Certificate(tls.cert).validToDate.getTime() }
  }
  const old = await atDay(t, -8, () => given(10))
  const dataDir = temporaryDirectory(t)
  const options = { dataDir, bind: '127.0.0.1:0', bootstrap: true, nodeId: 'a', tls: old.tls }
  await using node = await open(options)
  const warnings: string[] = []
  node.on('warning', ({ code, message }) => {
    if (code === 'ERR_CERTIFICATE') warnings.push(message)
  })
  assert.equal((await node.status()).certificateEndsMs, old.endsMs)
  await until('a warning', () => warnings.length > 0)
  assert.match(warnings[0] ?? '', /\(CN=a\) expires in/)
  const renewed = await given(400)
  await node.rotate({ tls: renewed.tls })
  assert.equal((await node.metrics()).transport.certificateEndsMs, renewed.endsMs)
})
