/** Real nodes, each at a loopback address of its own, that find each other by a DNS. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ClusterNode, type DnsOptions, startDns } from '../../src/dns/dns.ts'
import type { MemberStatus } from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import { DnsServer } from './dns-server.ts'

const NAME = 'nodes.example'
const PORT = 9411

let dns: DnsServer
let folder = ''
const running = new Map<string, ClusterNode>()

async function start(host: number, more: Partial<DnsOptions> = {}): Promise<ClusterNode> {
  const cluster = await startDns({
    name: NAME,
    servers: [dns.address],
    dataDir: join(folder, `n${host}`),
    nodeId: `n${host}`,
    bind: `127.0.0.${host}:${PORT}`,
    discoveryWindowMs: 200,
    deadVoterTimeoutMs: 2_000,
    deadLearnerTimeoutMs: 3_000,
    stewardMs: 50,
    electionTimeoutMs: 500,
    heartbeatMs: 50,
    ...more,
  })
  running.set(`n${host}`, cluster)
  return cluster
}

/** The node of that number, as it runs now. */
function nodeOf(host: number): ClusterNode {
  const cluster = running.get(`n${host}`)
  assert.ok(cluster !== undefined, `n${host} runs`)
  return cluster
}

async function untilRoles(cluster: ClusterNode, expected: string): Promise<void> {
  await until(expected, async () => (await roles(cluster)) === expected)
}

async function roles(cluster: ClusterNode): Promise<string> {
  const members = await cluster.node.members()
  const text = ({ nodeId, role }: MemberStatus): string => `${nodeId} ${role}`
  return members.map(text).sort().join(', ')
}

describe('a cluster that forms itself', () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'colmena-forming-'))
    dns = await DnsServer.start()
    for (const host of [1, 2, 3, 4]) dns.add(NAME, { type: 'A', value: `127.0.0.${host}` })
  })
  after(async () => {
    await Promise.all([...running.values()].map((cluster) => cluster.close()))
    await dns.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('is one, with as many voters as are wanted', async () => {
    const nodes = await Promise.all([1, 2, 3].map((host) => start(host)))
    const ids = new Set<string>()
    for (const { node } of nodes) ids.add((await node.status()).clusterId)
    assert.equal(ids.size, 1)
    const [first] = nodes as [ClusterNode]
    await untilRoles(first, 'n1 voter, n2 voter, n3 voter')
    await first.node.database().execute('CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT)')
    const fourth = await start(4)
    assert.equal(await roles(fourth), 'n1 voter, n2 voter, n3 voter, n4 learner')
    await until('it is healthy', () => fourth.healthy())
  })

  it('lets its leader leave, whose vote a learner takes, and takes it back as it was', async () => {
    const { id: leader } = await nodeOf(1).node.waitForLeader()
    const host = Number(leader.slice(1))
    const leaving = nodeOf(host)
    const { memberId } = leaving.node
    const staying = nodeOf(host === 1 ? 2 : 1)
    const [write] = await Promise.all([
      staying.node.database().execute("INSERT INTO kv VALUES ('a', '1')"),
      leaving.leave(),
    ])
    assert.equal(write.rowsAffected, 1)
    const { id: next } = await staying.node.waitForLeader()
    const seen = await roles(nodeOf(Number(next.slice(1))))
    assert.match(seen, new RegExp(`n${host} learner`), 'its vote is taken before it is gone')
    const named = (role: string): string =>
      [1, 2, 3, 4].map((one) => `n${one} ${one === host ? role : 'voter'}`).join(', ')
    await untilRoles(staying, named('learner'))
    assert.equal(await leaving.healthy(), false)

    const back = await start(host)
    assert.equal(back.node.memberId, memberId, 'it has what it had')
    await until('it is healthy', () => back.healthy())
    assert.equal(await roles(staying), named('learner'))
  })

  it('replaces a voter that does not come back, and then forgets it', async () => {
    const learner = (await nodeOf(1).node.members()).find(({ role }) => role === 'learner')
    const { id: leader } = await nodeOf(1).node.waitForLeader()
    const dead = [1, 2, 3, 4].find((host) => ![leader, learner?.nodeId].includes(`n${host}`)) ?? 0
    const { memberId } = nodeOf(dead).node
    await nodeOf(dead).node.close()
    running.delete(`n${dead}`)
    const staying = nodeOf(Number(leader.slice(1)))
    const expected = [1, 2, 3, 4].map((host) => `n${host} ${host === dead ? 'learner' : 'voter'}`)
    await untilRoles(staying, expected.join(', '))

    dns.remove(NAME, (record) => 'value' in record && record.value === `127.0.0.${dead}`)
    const left = expected.filter((text) => text !== `n${dead} learner`).join(', ')
    await untilRoles(staying, left)

    dns.add(NAME, { type: 'A', value: `127.0.0.${dead}` })
    const back = await start(dead)
    await until('it is healthy', () => back.healthy())
    assert.notEqual(back.node.memberId, memberId, 'it was removed, and has joined anew')
    assert.equal(await roles(staying), expected.join(', '))
  })

  it('comes back from a stop of all as it was', async () => {
    const before = new Map([...running].map(([id, { node }]) => [id, node.memberId]))
    const expected = await roles(nodeOf(1))
    await Promise.all([...running.values()].map((cluster) => cluster.close()))
    const nodes = await Promise.all([1, 2, 3, 4].map((host) => start(host)))
    const [first] = nodes as [ClusterNode]
    await until('it is healthy', () => first.healthy())
    assert.deepEqual(new Map(nodes.map(({ node }) => [node.nodeId, node.memberId])), before)
    assert.equal(await roles(first), expected)
    const { rows } = await first.node.database().execute('SELECT * FROM kv')
    assert.equal(rows.length, 1)
  })
})
