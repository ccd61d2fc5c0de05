/** Machines of Fly.io, each at a loopback address of its own, with a DNS that has their names. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type ClusterNode, type FlyOptions, fromEnv, startFly } from '../../src/fly/fly.ts'
import { ColmenaError } from '../../src/index.ts'
import { until } from '../processes/wait.ts'
import { DnsServer } from './dns-server.ts'

const PORT = 9412
const SECRET = 'a secret of these machines alone'

/** What Fly.io sets on a machine of this number. */
function machine(number: number): Record<string, string> {
  return {
    FLY_MACHINE_ID: `1781${number}`,
    FLY_PRIVATE_IP: `::ffff:127.0.1.${number}`,
    FLY_REGION: 'fra',
    FLY_APP_NAME: 'app',
    COLMENA_SECRET: SECRET,
  }
}

describe('fromEnv', () => {
  it('takes what a machine knows of itself', () => {
    assert.deepEqual(fromEnv(machine(1)), {
      machineId: '17811',
      privateIp: '::ffff:127.0.1.1',
      region: 'fra',
      app: 'app',
      dataDir: '/data',
      secret: SECRET,
      bootstrapExpect: undefined,
      forceCleanStart: false,
    })
    const own = {
      COLMENA_DATA_DIR: '/mnt/colmena',
      COLMENA_BOOTSTRAP_EXPECT: '5',
      COLMENA_FORCE_CLEAN_START: '1',
    }
    const { dataDir, bootstrapExpect, forceCleanStart } = fromEnv({ ...machine(1), ...own })
    assert.deepEqual([dataDir, bootstrapExpect, forceCleanStart], ['/mnt/colmena', 5, true])
    const secretOf = (text: string) => fromEnv({ ...machine(1), COLMENA_SECRET: text }).secret
    assert.equal(secretOf(' \n'), undefined)
    assert.equal(secretOf('one\n'), 'one')
    assert.deepEqual(secretOf('newest\r\n\n older \n'), ['newest', 'older'])
  })

  it('names every variable that is missing, and one that is wrong', () => {
    const refused = (message: RegExp) => ({ code: 'ERR_INVALID_OPTION', message })
    const names = ['FLY_MACHINE_ID', 'FLY_PRIVATE_IP', 'FLY_REGION', 'FLY_APP_NAME']
    assert.throws(() => fromEnv({}), refused(new RegExp(`^${names.join(', ')} are missing`)))
    for (const name of names) {
      const env = { ...machine(1), [name]: '' }
      assert.throws(() => fromEnv(env), refused(new RegExp(`^${name} is missing`)))
    }
    for (const value of ['0', '-1', 'x', '1.5']) {
      const env = { ...machine(1), COLMENA_BOOTSTRAP_EXPECT: value }
      assert.throws(() => fromEnv(env), refused(/COLMENA_BOOTSTRAP_EXPECT/))
    }
    const env = { ...machine(1), COLMENA_FORCE_CLEAN_START: 'yes' }
    assert.throws(() => fromEnv(env), refused(/COLMENA_FORCE_CLEAN_START is 'yes'/))
  })
})

describe('machines of Fly.io', () => {
  let folder = ''
  let dns: DnsServer
  const running = new Map<number, ClusterNode>()

  async function start(number: number, more: Partial<FlyOptions> = {}): Promise<ClusterNode> {
    const cluster = await startFly({
      ...fromEnv({ ...machine(number), COLMENA_DATA_DIR: join(folder, `${number}`) }),
      port: PORT,
      servers: [dns.address],
      pollMs: 50,
      discoveryWindowMs: 300,
      stewardMs: 50,
      electionTimeoutMs: 500,
      heartbeatMs: 50,
      handleSignals: false,
      ...more,
    })
    running.set(number, cluster)
    return cluster
  }

  async function voters(cluster: ClusterNode): Promise<number> {
    const members = await cluster.node.members()
    return members.filter(({ role }) => role === 'voter').length
  }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'colmena-fly-'))
    dns = await DnsServer.start()
    const machines = [1, 2, 3, 4]
    const list = machines.map((number) => `1781${number} fra`).join(',')
    dns.add('vms.app.internal', { type: 'TXT', value: list })
    for (const number of machines) {
      // The same address as `machine` has, in the one form that this server knows.
      const value = `::ffff:7f00:10${number}`
      dns.add(`1781${number}.vm.app.internal`, { type: 'AAAA', value })
    }
  })
  after(async () => {
    await Promise.all([...running.values()].map((cluster) => cluster.close()))
    await dns.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('begin one cluster, by their machine ids, over IPv6', async () => {
    const nodes = await Promise.all([1, 2, 3].map((number) => start(number)))
    const [first] = nodes as [ClusterNode]
    await until('three vote', async () => (await voters(first)) === 3)
    const members = await first.node.members()
    assert.deepEqual(members.map(({ nodeId }) => nodeId).sort(), ['17811', '17812', '17813'])
    for (const { address } of members) assert.match(address, /^\[::ffff:127\.0\.1\.\d\]:9412$/)
    await first.node.database().execute('CREATE TABLE kv (key TEXT PRIMARY KEY, value TEXT)')
    await until('it is healthy', () => first.healthy())
  })

  it('lose what they hold where asked to, begin no cluster then, and join', async () => {
    const cluster = running.get(2) as ClusterNode
    const { memberId } = cluster.node
    await assert.rejects(start(2, { forceCleanStart: true }), { code: 'ERR_ALREADY_OPEN' })
    running.set(2, cluster)
    assert.ok(existsSync(join(folder, '2', 'identity.json')), 'what is open is left alone')
    await cluster.close()
    writeFileSync(join(folder, '2', 'notes.txt'), "somebody else's")
    const warnings: string[] = []
    const logger = { warn: (message: string) => warnings.push(message) }
    const back = await start(2, { forceCleanStart: true, logger })
    assert.notEqual(back.node.memberId, memberId)
    assert.ok(existsSync(join(folder, '2', 'notes.txt')))
    assert.match(warnings.join('\n'), /forceCleanStart: deleted .*identity\.json.*log.*db/)
    await until('three vote', async () => (await voters(back)) === 3)

    const alone = { dataDir: join(folder, 'alone'), bootstrapExpect: 1, voterTarget: 1 }
    mkdirSync(alone.dataDir)
    const elsewhere = { ...alone, app: 'other', forceCleanStart: true, joinTimeoutMs: 1_000 }
    await assert.rejects(start(4, elsewhere), { code: 'ERR_JOIN_FAILED' })
  })

  it('lose nothing where an option is wrong, or a node runs on what they hold', async () => {
    const cluster = running.get(2) as ClusterNode
    const { memberId } = cluster.node
    const clean = { forceCleanStart: true }
    await assert.rejects(start(2, clean), { code: 'ERR_ALREADY_OPEN' })
    await cluster.close()
    for (const [more, message] of [
      [{ secret: undefined }, /machines need something to know each other by.*COLMENA_SECRET/],
      [{ machineId: undefined }, /machineId is missing; it must be as '2865550fe3e678'/],
      [{ privateIp: '10.0.0.1' }, /privateIp is "10\.0\.0\.1"; it must be an IPv6 address/],
      [{ privateIp: undefined }, /privateIp is missing/],
      [{ region: 'FRA' }, /region is "FRA"; it must be as 'fra'/],
      [{ pollMs: -1 }, /pollMs is -1/],
      [{ port: 0 }, /port is 0/],
      [{ bind: '127.0.0.1:9000' } as never, /bind is not for startFly, which takes .* privateIp/],
      [{ forceCleanStart: 'false' as never }, /forceCleanStart is "false"; it must be true or/],
      [{ handleSignals: 0 as never }, /handleSignals is 0/],
      [{ heartbeatMs: 400 }, /heartbeatMs 400 is too long/],
    ] as [Partial<FlyOptions>, RegExp][]) {
      const refused = { code: 'ERR_INVALID_OPTION', message }
      await assert.rejects(start(2, { ...clean, ...more }), refused)
    }
    assert.equal((await start(2)).node.memberId, memberId, 'it has what it had')
  })

  it('that are removed while they run say so, and join anew at the next start', async () => {
    const causes: unknown[] = []
    const removed = await start(4, { onSelfHeal: (cause) => causes.push(cause) })
    const { memberId } = removed.node
    const [first] = [...running.values()] as [ClusterNode]
    await first.node.removeMember(removed.node.nodeId)
    await until('it says so', () => causes.length > 0)
    assert.ok(causes[0] instanceof ColmenaError)
    assert.equal(causes[0].code, 'ERR_REMOVED')
    await removed.close()
    const back = await start(4)
    assert.notEqual(back.node.memberId, memberId)
    await until('it is healthy', () => back.healthy())
  })

  it('leave at SIGTERM, and end their process with code 0', async (t) => {
    const exits: unknown[] = []
    t.mock.method(process, 'exit', ((code: number) => exits.push(code)) as never)
    const before = process.listenerCount('SIGTERM')
    await (running.get(4) as ClusterNode).close()
    const cluster = await start(4, { handleSignals: true })
    assert.equal(process.listenerCount('SIGTERM'), before + 1)
    process.emit('SIGTERM')
    await until('it has left', () => exits.length > 0)
    assert.deepEqual(exits, [0])
    assert.equal(await cluster.healthy(), false)
    assert.equal(process.listenerCount('SIGTERM'), before)
    assert.equal(process.listenerCount('SIGINT'), 0)
  })

  it('exit with code 1 when they are removed, where nobody says otherwise', async (t) => {
    const exits: unknown[] = []
    t.mock.method(process, 'exit', ((code: number) => exits.push(code)) as never)
    const removed = await start(4)
    const [first] = [...running.values()] as [ClusterNode]
    await first.node.removeMember(removed.node.nodeId)
    await until('it exits', () => exits.length > 0)
    assert.deepEqual(exits, [1])
  })

  it('refuse what can be no machine, before anything is touched', async () => {
    const refused = (message: RegExp) => ({ code: 'ERR_INVALID_OPTION', message })
    const dataDir = join(folder, 'never')
    for (const [more, message] of [
      [{ app: 'a.b' }, /app is "a\.b"/],
      [{ region: '' }, /region is ""/],
      [{ privateIp: 'fdaa::1]' }, /privateIp/],
      [{ port: 0 }, /port is 0/],
      [{ voterTarget: 2 }, /it must be odd/],
      [{ join: ['a:1'] }, /join is not for a cluster that forms itself/],
      [{ deadVoterTimeoutMs: -1 }, /deadVoterTimeoutMs is -1/],
      [{ servers: ['example.com'] }, /servers is \["example\.com"\]/],
      [{ votersTarget: 3 }, /unknown option 'votersTarget'.*voterTarget/],
    ] as [Partial<FlyOptions>, RegExp][]) {
      await assert.rejects(start(4, { dataDir, ...more }), refused(message))
    }
    assert.ok(!existsSync(dataDir))
  })
})
