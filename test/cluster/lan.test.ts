/** Nodes on loopback that find each other by multicast DNS at a port of this test's own. */
import assert from 'node:assert/strict'
import { scryptSync, X509Certificate } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Authority, createAuthority } from '../../src/certificates/certificates.ts'
import { open } from '../../src/index.ts'
import type { ClusterNode, LanOptions } from '../../src/lan/lan.ts'
import { startLanWith } from '../../src/lan/start-lan.ts'
import { toTrust } from '../../src/lan/trust.ts'
import { until } from '../processes/wait.ts'
import { freeUdpPort } from './free-udp-port.ts'

const LOOPBACK = '127.0.0.1'

let folder = ''
let mdnsPort = 0
let ours: Authority
const running = new Map<string, ClusterNode>()

async function start(
  name: string,
  more: Partial<LanOptions> = {},
  port = mdnsPort,
  mdnsGapMs = 20,
): Promise<ClusterNode> {
  const { cert: ca, key: caKey } = ours
  const options = {
    dataDir: join(folder, name),
    bind: `${LOOPBACK}:0`,
    interface: LOOPBACK,
    ca,
    caKey,
    expectedVoters: 3,
    discoveryWindowMs: 300,
    stewardMs: 50,
    electionTimeoutMs: 500,
    heartbeatMs: 50,
    ...more,
  }
  const cluster = await startLanWith(options, { mdnsPort: port, mdnsGapMs })
  running.set(name, cluster)
  return cluster
}

function nodeOf(name: string): ClusterNode {
  const cluster = running.get(name)
  assert.ok(cluster !== undefined, `${name} runs`)
  return cluster
}

async function count(cluster: ClusterNode, role: 'voter' | 'learner'): Promise<number> {
  const members = await cluster.node.members()
  return members.filter((member) => member.role === role).length
}

describe('a cluster on a LAN', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'colmena-lan-'))
    mdnsPort = await freeUdpPort()
    ours = await createAuthority()
  })
  after(async () => {
    await Promise.all([...running.values()].map((cluster) => cluster.close()))
    rmSync(folder, { recursive: true, force: true })
  })

  it('is made of the nodes that have one CA, beside another one on the same network', async () => {
    const { cert: ca, key: caKey } = await createAuthority()
    const [theirs, ...nodes] = await Promise.all([
      start('other', { ca, caKey, expectedVoters: 1 }),
      ...['a', 'b', 'c'].map((name) => start(name)),
    ])
    const [first] = nodes as [ClusterNode]
    await until('three vote', async () => (await count(first, 'voter')) === 3)
    const ids = await Promise.all(nodes.map(async ({ node }) => (await node.status()).clusterId))
    assert.equal(new Set(ids).size, 1)
    assert.equal((await theirs.node.members()).length, 1)
    await first.node.database().execute('CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT)')
  })

  it('takes a machine in at once that has lost its disk, in place of what it was', async () => {
    const [staying, lost] = [nodeOf('a'), nodeOf('c')]
    const { address: bind, nodeId } = lost.node
    await lost.node.close()
    rmSync(join(folder, 'c'), { recursive: true })
    const back = await start('c', { bind })
    assert.notEqual(back.node.nodeId, nodeId, 'it knows nothing of itself')
    await until('three vote', async () => (await count(staying, 'voter')) === 3)
    const members = await staying.node.members()
    assert.equal(members.length, 3)
    assert.ok(!members.some((member) => member.nodeId === nodeId))
    await until('it is healthy', () => back.healthy())
  })

  it('is found by who would begin alone, however short its look around', async () => {
    const alone = { expectedVoters: 1, voterTarget: 1, discoveryWindowMs: 50 }
    const elsewhere = await freeUdpPort()
    const ids = new Set<string>()
    for (const name of ['first', 'reflashed']) {
      const { node } = await start(name, alone, elsewhere, 2_000)
      ids.add((await node.status()).clusterId)
    }
    assert.equal(ids.size, 1)
    for (const name of ['first', 'reflashed']) await nodeOf(name).close()
  })

  it('tells of another one, of the same CA, and never merges with it', async () => {
    const split = { expectedVoters: 1, voterTarget: 1 }
    const elsewhere = await freeUdpPort()
    const half = await start('half', split, elsewhere)
    const { clusterId } = await half.node.status()
    await half.close()
    const healed = await start('half', split)
    let isTold = false
    healed.node.on('warning', ({ code, message }) => {
      isTold ||=
        code === 'ERR_OTHER_CLUSTER' &&
        /another cluster answers at 127\.0\.0\.1:\d+.*never merged/.test(message)
    })
    await until('it tells of the other one', () => isTold)
    assert.equal((await healed.node.status()).clusterId, clusterId)
    assert.equal((await healed.node.members()).length, 1)
    await healed.close()
  })

  it('has each start of a node under the id that it keeps, for its owner alone', async () => {
    const before = nodeOf('a')
    const { nodeId } = before.node
    assert.match(nodeId, /^node-[0-9a-f]{16}$/)
    assert.equal(statSync(join(folder, 'a')).mode & 0o777, 0o700)
    await before.close()
    assert.equal((await start('a')).node.nodeId, nodeId)
  })

  it('goes on with what a node has that was alone, under its name', async () => {
    const dataDir = join(folder, 'alone')
    const alone = await open({ dataDir, nodeId: 'alone' })
    await alone.database().execute('CREATE TABLE kv (key TEXT PRIMARY KEY)')
    await alone.close()
    const { cert: ca, key: caKey } = await createAuthority()
    const { node } = await start('alone', { ca, caKey, expectedVoters: 1 })
    assert.equal(node.nodeId, 'alone')
    await node.database().execute("INSERT INTO kv VALUES ('a')")
    assert.equal((await node.members()).length, 1)
  })

  it('is begun by nobody who could not look whether there is one', async (t) => {
    const taken = await freeUdpPort()
    const blocker = createSocket({ type: 'udp4', reuseAddr: false })
    t.after(() => blocker.close())
    blocker.bind(taken, '0.0.0.0')
    await once(blocker, 'listening')
    const blind = { expectedVoters: 1, joinTimeoutMs: 1_500 }
    const message = /1 of 1 expected voters are here: \S+; nobody could say yet where others are/
    await assert.rejects(start('blind', blind, taken), { code: 'ERR_JOIN_FAILED', message })
  })
})

describe('what nodes on a LAN have in common', () => {
  it('is named by the CA, and by nothing that gives a secret away', async () => {
    const { cert: ca, key: caKey } = await createAuthority()
    const { cluster, issue } = toTrust({ ca, caKey }, {})
    const fingerprint = new X509Certificate(ca).fingerprint256.replaceAll(':', '').toLowerCase()
    assert.equal(cluster, fingerprint.slice(0, 16))
    const tls = await issue?.('node-1')
    const leaf = new X509Certificate(String(tls?.cert))
    assert.ok(leaf.verify(new X509Certificate(ca).publicKey))
    for (const host of [LOOPBACK, '::1']) assert.equal(leaf.checkIP(host), host)
    assert.equal(leaf.checkHost('node-1'), 'node-1')
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')

    const secret = 'x'.repeat(32)
    const named = toTrust({}, { secret })
    assert.equal(named.cluster, scryptSync(secret, 'colmena lan', 8).toString('hex'))
    assert.equal(named.cluster, toTrust({}, { secret: [secret, 'y'.repeat(32)] }).cluster)
    assert.equal(named.issue, null)
    assert.equal(toTrust({}, { tls: { ca, cert: '', key: '' } }).cluster, cluster)
  })

  it('can be known only while the CA is good by the clock of the machine', async (t) => {
    const { cert: ca, key: caKey } = await createAuthority()
    const { fault } = toTrust({ ca, caKey }, {})
    assert.equal(fault(), null)
    t.mock.timers.enable({ apis: ['Date'], now: 0 })
    assert.match(fault() ?? '', /^the clock of this machine says 1970-01-01T.*the CA is good from/)
    assert.equal(toTrust({}, { secret: 'x'.repeat(32) }).fault(), null)
  })

  it('is both of ca and caKey, or none, and nothing only where that is asked for', async () => {
    const { cert: ca, key: caKey } = await createAuthority()
    const refused = (message: RegExp) => ({ code: 'ERR_INVALID_OPTION', message })
    assert.throws(() => toTrust({ ca }, {}), refused(/caKey is missing/))
    assert.throws(() => toTrust({ caKey }, {}), refused(/ca is missing/))
    assert.throws(() => toTrust({}, {}), refused(/insecure: true/))
    const tls = { ca, cert: '', key: '' }
    assert.throws(() => toTrust({ ca, caKey }, { tls }), refused(/exclude each other/))
    assert.equal(toTrust({}, { insecure: true }).cluster, '0000000000000000')
  })

  it('is refused before anything is touched where it, or an option, is wrong', async () => {
    const dataDir = join(folder, 'nowhere')
    for (const [more, message] of [
      [{ dataDir: undefined }, /dataDir is missing/],
      [{ voterTraget: 3 }, /unknown option 'voterTraget'.*ca, caKey, interface, voterTarget/],
      [{ interface: 'eth0' }, /interface is "eth0"; it must be as '192\.168\.1\.20'/],
      [
        { interface: '192.0.2.77' },
        /interface is '192\.0\.2\.77', which is no address of .* 127\.0/,
      ],
      [{ bind: '192.0.2.77:0' }, /bind is "192\.0\.2\.77:0": .*EADDRNOTAVAIL/],
      [{ ca: 'no PEM' }, /ca holds no certificate in PEM/],
      [{ heartbeatMs: 400 }, /heartbeatMs 400 is too long/],
    ] as [Partial<LanOptions>, RegExp][]) {
      const refused = { code: 'ERR_INVALID_OPTION', message }
      await assert.rejects(start('nowhere', more), refused)
    }
    assert.ok(!existsSync(dataDir))
  })
})
