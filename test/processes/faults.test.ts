/** What goes wrong around a running cluster: one clear error each, and everybody else goes on. */
import assert from 'node:assert/strict'
import { cpSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { frameBytes } from '../transport/raw-peer.ts'
import { Cluster } from './cluster.ts'
import { findFreePorts } from './free-port.ts'
import { NodeHandle, type RemoteError } from './node-handle.ts'
import { until } from './wait.ts'

const SECRET = 'a secret of this test, long enough'

describe('around a running cluster', () => {
  let cluster: Cluster
  const strangers: NodeHandle[] = []

  before(async () => {
    cluster = await Cluster.start({ secret: SECRET })
    await cluster.makeLedger()
    for (const at of [0, 1, 2]) await cluster.startWriters(at, 1, { restMs: 100 })
  })

  // Whatever a test did: the writers of all three nodes go on, and none of them ever failed.
  afterEach(async () => {
    for (const stranger of strangers.splice(0)) await stranger.kill()
    await cluster.untilAcknowledged(10)
    assert.deepEqual(cluster.ledger.codes, {})
  })

  after(async () => {
    try {
      await cluster.stopWriters()
      await cluster.checkContents()
    } finally {
      await cluster.end()
    }
  })

  function stranger(): NodeHandle {
    const node = new NodeHandle()
    strangers.push(node)
    return node
  }

  function freshDir(name: string): string {
    return join(cluster.directory, name)
  }

  it('names the option that is wrong or missing', async () => {
    const node = stranger()
    const dataDir = freshDir('options')
    const wrong: readonly (readonly [options: object, message: RegExp])[] = [
      [{}, /dataDir/],
      [{ dataDir, nodeID: 'x' }, /nodeId/],
      [{ dataDir, bind: 'nowhere', bootstrap: true }, /bind/],
      [{ dataDir, heartbeatMs: 900 }, /heartbeatMs/],
      [{ dataDir, bind: '127.0.0.1:0' }, /bootstrap.*join/s],
      [{ dataDir, bind: '0.0.0.0:0', advertise: '127.0.0.1:1', bootstrap: true }, /secret/],
    ]
    for (const [options, message] of wrong) {
      await assert.rejects(node.call('open', options as never), {
        code: 'ERR_INVALID_OPTION',
        message,
      })
    }
    const weak = { dataDir, bind: '127.0.0.1:0', bootstrap: true, secret: 'short' }
    await assert.rejects(node.call('open', weak), { code: 'ERR_WEAK_SECRET' })
    // After all that the same process opens a node.
    await node.call('open', { dataDir })
  })

  it('tells of a port that is in use', async () => {
    const node = stranger()
    const dataDir = freshDir('port')
    const options = { dataDir, bind: cluster.address(0), bootstrap: true, secret: SECRET }
    await assert.rejects(node.call('open', options), {
      code: 'ERR_ADDRESS_IN_USE',
      message: new RegExp(cluster.address(0)),
    })
    await node.call('open', { ...options, bind: '127.0.0.1:0' })
  })

  it('lets one process have a data directory, once', async () => {
    await assert.rejects(stranger().call('open', cluster.optionsOf(1)), { code: 'ERR_LOCKED' })
    await assert.rejects(cluster.node(1).call('open', cluster.optionsOf(1)), {
      code: 'ERR_ALREADY_OPEN',
    })
  })

  it('keeps out a node with another secret', async () => {
    const options = {
      dataDir: freshDir('secret'),
      bind: '127.0.0.1:0',
      join: cluster.address(0),
      joinTimeoutMs: 1_000,
    }
    const others = [{ secret: 'some other secret, as long as it' }, {}]
    for (const other of others) {
      await assert.rejects(stranger().call('open', { ...options, ...other }), {
        code: 'ERR_JOIN_FAILED',
        message: /secret/,
      })
    }
    const members = await cluster.statuses()
    assert.equal(members.length, 3)
  })

  it('tells a joiner that it can not be reached where it says', async () => {
    const other = await Cluster.start({ count: 1 })
    try {
      const [nowhere] = await findFreePorts(1)
      const dataDir = freshDir('unreachable')
      const options = { dataDir, bind: '127.0.0.1:0', join: other.address(0), joinTimeoutMs: 1_000 }
      const advertise = `127.0.0.1:${nowhere}`
      const joiner = stranger()
      await assert.rejects(joiner.call('open', { ...options, advertise }), {
        code: 'ERR_JOIN_FAILED',
        message: new RegExp(`${advertise}.*advertise`),
      })
      await joiner.call('open', options)
    } finally {
      await other.end()
    }
  })

  it('keeps out a member of another cluster, at a known address too', async () => {
    const other = await Cluster.start({ secret: SECRET, count: 1 })
    try {
      // The same node name, and the address of a member that is away.
      await other.stop()
      const at = 2
      await cluster.node(at).call('stopWriters')
      await cluster.node(at).kill()
      const impostor = stranger()
      const options = { dataDir: other.dataDir(0), secret: SECRET, bind: cluster.address(at) }
      await impostor.call('open', options)
      await until('the others have noticed', () =>
        [0, 1].some((one) =>
          cluster
            .node(one)
            .eventsOf('warning')
            .some(({ code }) => code === 'ERR_OTHER_CLUSTER'),
        ),
      )
      // It is still a whole cluster of its own.
      await impostor.call('execute', 'CREATE TABLE mine (id)')
      await impostor.kill()
      await cluster.startNode(at)
      await cluster.startWriters(at, 1, { restMs: 100 })
    } finally {
      await other.end()
    }
  })

  it('refuses a log of another cluster', async () => {
    const node = stranger()
    const mine = freshDir('mine')
    const theirs = freshDir('theirs')
    for (const dataDir of [mine, theirs]) {
      await node.call('open', { dataDir })
      await node.call('close')
    }
    rmSync(join(mine, 'log'), { recursive: true })
    cpSync(join(theirs, 'log'), join(mine, 'log'), { recursive: true })
    await assert.rejects(node.call('open', { dataDir: mine }), { code: 'ERR_OTHER_CLUSTER' })
    await node.call('open', { dataDir: theirs })
  })

  it('hangs up on garbage and on frames without measure', async () => {
    const plain = await Cluster.start()
    try {
      await plain.makeLedger()
      await plain.startWriters(0, 1, { restMs: 20 })
      await plain.startWriters(1, 1, { restMs: 20 })
      const oversized = Buffer.alloc(64 * 1024)
      oversized.writeUInt32LE(0xffff_fff0, 0)
      const attacks = [
        Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
        Buffer.alloc(256 * 1024, 0xa5),
        oversized,
        frameBytes(1, Buffer.alloc(2_000)),
        frameBytes(250, Buffer.from('no such kind')),
      ]
      for (const target of [cluster, plain]) {
        for (const at of [0, 1, 2]) {
          await Promise.all(attacks.map((bytes) => attack(target.address(at), bytes)))
        }
      }
      await plain.untilAcknowledged(10)
      await plain.stopWriters()
      assert.deepEqual(plain.ledger.codes, {})
      for (const { term } of await plain.statuses()) assert.equal(term, 2)
      for (const node of plain.nodes) {
        assert.deepEqual(node.eventsOf('closed'), [])
      }
      await plain.checkContents()
    } finally {
      await plain.end()
    }
  })

  it('answers a bad statement to its caller alone', async () => {
    const node = cluster.node(1)
    await node.call('execute', 'CREATE TABLE strict_t (id INTEGER PRIMARY KEY, n INTEGER) STRICT')
    await node.call('execute', 'INSERT INTO strict_t VALUES (1, 1)')
    const refused: readonly (readonly [sql: string, args: readonly unknown[], code: string])[] = [
      ['INSRT INTO strict_t VALUES (2, 2)', [], 'ERR_SQL'],
      ['INSERT INTO missing VALUES (1)', [], 'ERR_SQL'],
      ['INSERT INTO strict_t VALUES (1, 2)', [], 'ERR_SQL'],
      ['INSERT INTO strict_t VALUES (3, ?)', ['text'], 'ERR_SQL'],
      ['INSERT INTO strict_t VALUES (4, ?)', [2n ** 64n], 'ERR_INVALID_ARGUMENT'],
      ['INSERT INTO strict_t VALUES (5, ?)', [Number.NaN], 'ERR_INVALID_ARGUMENT'],
      ['INSERT INTO strict_t VALUES (6, ?)', [{ not: 'a value' }], 'ERR_INVALID_ARGUMENT'],
      ["ATTACH 'other.db' AS other", [], 'ERR_REFUSED_SQL'],
      ['SELECT nonsense FROM strict_t', [], 'ERR_SQL'],
    ]
    const answers = await Promise.allSettled([
      ...refused.map(([sql, args]) => node.call('execute', sql, args)),
      ...[10, 11, 12].map((id) => node.call('execute', 'INSERT INTO strict_t VALUES (?, 0)', [id])),
    ])
    for (const [at, [sql, , code]] of refused.entries()) {
      const answer = answers[at]
      assert.equal(answer?.status, 'rejected', sql)
      const error = answer.reason as RemoteError
      assert.equal(error.code, code, sql)
      assert.equal(error.outcome, 'not-applied', sql)
      assert.equal(error.retryable, false, sql)
    }
    for (const answer of answers.slice(refused.length)) assert.equal(answer.status, 'fulfilled')
    const { rows } = await cluster.node(2).call('execute', 'SELECT id FROM strict_t ORDER BY id')
    assert.deepEqual(
      rows.map(({ id }) => id),
      [1, 10, 11, 12],
    )
  })

  it('refuses every call after close', async () => {
    const node = stranger()
    await node.call('open', { dataDir: freshDir('closed') })
    await node.call('execute', 'CREATE TABLE t (a)')
    await node.call('close')
    const closed = { code: 'ERR_CLOSED', outcome: 'not-applied' }
    await assert.rejects(node.call('execute', 'INSERT INTO t VALUES (1)'), closed)
    await assert.rejects(node.call('execute', 'SELECT * FROM t'), closed)
    await assert.rejects(node.call('status'), closed)
    assert.deepEqual(node.eventsOf('closed'), [{ reason: 'requested' }])
    await node.call('close')
  })
})

/** Sends bytes to a port, and resolves when the other side has hung up. */
function attack(address: string, bytes: Uint8Array): Promise<void> {
  const [host, port] = address.split(':')
  return new Promise((resolve) => {
    const socket = connect({ host: host ?? '', port: Number(port) })
    socket.on('error', () => {})
    socket.on('close', () => resolve())
    socket.resume()
    socket.write(bytes)
  })
}
