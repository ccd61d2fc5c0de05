/** What clusters that form themselves take, against their pages. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type ClusterDefaults,
  type ClusterOptions,
  type PassedOptions,
  toClusterConfig,
} from '../../src/cluster/cluster.ts'
import { DNS_DEFAULTS, type DnsOptions, startDns } from '../../src/dns/start-dns.ts'
import { FLY_DEFAULTS, type FlyOptions, startFly } from '../../src/fly/start-fly.ts'
import { LAN_DEFAULTS, type LanOptions, startLan } from '../../src/lan/start-lan.ts'
import { readCodeSpans, readPage, readTables } from '../docs/pages.ts'

type Own<Options> = Readonly<
  Record<Exclude<keyof Options, keyof ClusterOptions | keyof PassedOptions>, true>
>

// The compiler holds these lists against the code, the tests hold the pages against them.
const shared: Readonly<Record<keyof ClusterOptions, true>> = {
  voterTarget: true,
  deadVoterTimeoutMs: true,
  deadLearnerTimeoutMs: true,
  stewardMs: true,
  onSelfHeal: true,
}
const lan: Own<LanOptions> = { ca: true, caKey: true, interface: true }
const dns: Own<DnsOptions> = { name: true, port: true, servers: true }
const fly: Own<FlyOptions> = {
  machineId: true,
  privateIp: true,
  region: true,
  app: true,
  bootstrapExpect: true,
  forceCleanStart: true,
  handleSignals: true,
  port: true,
  pollMs: true,
  peerTtlMs: true,
  servers: true,
}
/** Of `open`, with other defaults. */
const passed = [
  'expectedVoters',
  'discoveryWindowMs',
  'joinTimeoutMs',
  'ifRemoved',
  'consistency',
] as const

/** The rows of a section's first table. */
function rowsOf(page: string, heading: string): readonly string[][] {
  const [, section = ''] = readPage(page).split(`\n## ${heading}\n`)
  return readTables(section.split('\n## ')[0] ?? '')[0] ?? []
}

const rows = rowsOf('docs/options.md', 'Options of clusters that form themselves')

describe('options of clusters that form themselves', () => {
  it('have a row each, and no other', () => {
    const named = rows.map(([name = '']) => readCodeSpans(name)[0])
    assert.deepEqual(named, [...Object.keys(shared), ...passed, 'bind'])
  })

  for (const [at, title, defaults] of [
    [1, 'on a LAN', LAN_DEFAULTS],
    [2, 'on Fly.io', { ...FLY_DEFAULTS, expectedVoters: LAN_DEFAULTS.expectedVoters }],
    [3, 'by a DNS', DNS_DEFAULTS],
  ] as const) {
    it(`have the defaults that the page names, ${title}`, () => {
      const { policy, stewardMs, open } = toClusterConfig({ dataDir: 'x' }, defaults)
      const values: Readonly<Record<string, unknown>> = { ...policy, stewardMs, ...open }
      let compared = 0
      for (const row of rows) {
        const [name = ''] = readCodeSpans(row[0] ?? '')
        const shown = /^`([\d']\S*)`$/.exec(row[at] ?? '')?.[1]
        if (shown === undefined || name === 'bind') continue
        assert.equal(`${values[name]}`, shown.replaceAll("'", ''), name)
        compared += 1
      }
      assert.ok(compared >= 6, `${compared} defaults`)
    })
  }

  it('are on the page of each way to find nodes', () => {
    const named = (page: string): readonly string[] =>
      rowsOf(page, 'Options').map(([name = '']) => readCodeSpans(name)[0] ?? '')
    assert.deepEqual(named('docs/lan.md'), Object.keys(lan))
    assert.deepEqual(named('docs/dns.md'), Object.keys(dns))
    const ofOpen = ['dataDir', 'secret']
    assert.deepEqual(named('docs/fly.md').toSorted(), [...Object.keys(fly), ...ofOpen].toSorted())
  })

  it('are one voter, or an odd number of them', () => {
    for (const voterTarget of [1, 3, 5]) {
      const { policy, open } = toClusterConfig({ dataDir: 'x', voterTarget }, DNS_DEFAULTS)
      assert.equal(policy.voterTarget, voterTarget)
      assert.equal(open.expectedVoters, voterTarget)
    }
    const refused = (more: object, message: RegExp): void => {
      const defaults: ClusterDefaults = DNS_DEFAULTS
      const options = { dataDir: 'x', ...more } as ClusterOptions & PassedOptions
      const error = { code: 'ERR_INVALID_OPTION', message }
      assert.throws(() => toClusterConfig(options, defaults), error)
    }
    refused({ voterTarget: 4 }, /it must be odd, since 4 voters bear no more failures than 3/)
    for (const voterTarget of [0, 11, 2.5, '3']) refused({ voterTarget }, /voterTarget is/)
    refused({ bootstrap: true }, /bootstrap is not for a cluster that forms itself/)
    refused({ joinAs: 'voter' }, /joinAs is not/)
    refused({ stewardMs: 0 }, /stewardMs is 0/)
    refused({ onSelfHeal: 'exit' }, /onSelfHeal is exit; it must be a function/)
    refused({ deadLearnerTimeoutMs: 2 ** 31 }, /deadLearnerTimeoutMs/)
  })

  it('of a DNS are checked before anything is touched', async () => {
    for (const [more, message] of [
      [{ name: '' }, /name is ""/],
      [{ name: 'a b' }, /name is "a b"/],
      [{ port: 0 }, /port is 0/],
      [{ port: 65_536 }, /port is 65536/],
      [{ servers: ['dns.example'] }, /servers is \["dns\.example"\]/],
      [{ servers: ['10.0.0.1', '10.0.0.999'] }, /servers is .*as '10\.96\.0\.10'/],
      [{ servers: ['abc'] }, /servers is/],
      [{ servers: '10.0.0.1' as never }, /servers is "10\.0\.0\.1"/],
      [{ servers: [] }, /servers is \[\]/],
      [{ bind: 'here' }, /bind is "here"/],
      [{ advertise: 'here' }, /advertise is "here"/],
    ] as [Partial<DnsOptions>, RegExp][]) {
      const options = { name: 'nodes.example', dataDir: '/nowhere/at/all', ...more }
      await assert.rejects(startDns(options), { code: 'ERR_INVALID_OPTION', message })
    }
  })

  it('are an object, of options that somebody knows', async () => {
    for (const [start, name] of [
      [startLan, 'startLan'],
      [startFly, 'startFly'],
      [startDns, 'startDns'],
    ] as [(options: unknown) => Promise<unknown>, string][]) {
      for (const options of [undefined, null, 'x', []]) {
        const message = new RegExp(`^${name} needs an object of options`)
        await assert.rejects(async () => start(options), { code: 'ERR_INVALID_OPTION', message })
      }
    }
    const dns = { name: 'nodes.example', dataDir: '/nowhere/at/all', bind: '127.0.0.1:9000' }
    const fly = {
      machineId: 'm',
      privateIp: '::1',
      region: 'fra',
      app: 'app',
      secret: 's'.repeat(16),
    }
    const misspelt = { dataDir: '/nowhere/at/all', onSelfHeel: () => {} }
    const refused = (own: string) => ({
      code: 'ERR_INVALID_OPTION',
      message: new RegExp(`^unknown option 'onSelfHeel'.*${own}.*onSelfHeal`),
    })
    await assert.rejects(startDns({ ...dns, ...misspelt } as DnsOptions), refused('servers'))
    await assert.rejects(startFly({ ...fly, ...misspelt } as FlyOptions), refused('peerTtlMs'))
    const without = { ...fly, dataDir: undefined } as unknown as FlyOptions
    for (const forceCleanStart of [false, true]) {
      const missing = { code: 'ERR_INVALID_OPTION', message: /^dataDir is missing/ }
      await assert.rejects(startFly({ ...without, forceCleanStart }), missing)
    }
  })
})
