import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createFlyDiscovery } from '../../src/fly/fly-discovery.ts'
import { type DiscoveryRig, describeDiscovery, find } from './discovery-conformance.ts'
import { DnsServer } from './dns-server.ts'

const VMS = 'vms.app.internal'
const REGION = 'fra.app.internal'

interface FlyRig extends DiscoveryRig {
  readonly server: DnsServer
  /** Machines by id, in their regions. */
  readonly machines: Map<string, string>
  /** Enters what `machines` says into the zone. */
  publish(): void
}

async function createRig(times = { pollMs: 0, peerTtlMs: 0 }, nowMs = () => 0): Promise<FlyRig> {
  const server = await DnsServer.start()
  const machines = new Map<string, string>()
  const idOf = (address: string): string => `1781${address.replace(/[^0-9a-f]/g, '')}`
  const rig: FlyRig = {
    server,
    machines,
    publish: () => {
      server.zone.delete(VMS)
      const list = [...machines].map(([id, region]) => `${id} ${region}`).join(',')
      // A text has parts of at most 255 bytes.
      if (list !== '') server.add(VMS, { type: 'TXT', value: list.match(/.{1,255}/g) ?? [] })
    },
    address: (number) => `[fdaa::${number}]:9000`,
    appear: async (address) => {
      machines.set(idOf(address), 'fra')
      const host = address.slice(1, address.indexOf(']'))
      server.zone.set(`${idOf(address)}.vm.app.internal`, [{ type: 'AAAA', value: host }])
      rig.publish()
      const where = { app: 'app', region: 'fra', port: 9000, servers: [server.address] }
      const discovery = createFlyDiscovery({ ...where, ...times, nowMs })
      await discovery.announce(address)
      return discovery
    },
    disappear: async (address, discovery) => {
      machines.delete(idOf(address))
      server.zone.delete(`${idOf(address)}.vm.app.internal`)
      rig.publish()
      await discovery.close()
    },
    flood: async () => {
      for (let at = 0; at < 600; at += 1) {
        machines.set(`aa${at}`, 'fra')
        server.add(`aa${at}.vm.app.internal`, { type: 'AAAA', value: `fdbb::${at}` })
      }
      rig.publish()
    },
    breakDown: () => server.close(),
    repair: () => server.listen(),
    [Symbol.asyncDispose]: () => server.close(),
  }
  return rig
}

describeDiscovery('Fly.io', createRig)

describe('Fly.io', () => {
  it('finds machines of its own region alone, over IPv6', async () => {
    await using rig = await createRig()
    const discovery = await rig.appear(rig.address(1))
    await rig.appear(rig.address(2))
    const [, other = ''] = [...rig.machines.keys()]
    rig.machines.set(other, 'ams')
    rig.publish()
    assert.deepEqual(await find(discovery), ['[fdaa::1]:9000'])
    assert.ok(!rig.server.asked.some((asked) => asked.includes(`${other}.vm`)))
    assert.ok(!rig.server.asked.some((asked) => asked.startsWith('A ')))
  })

  it('takes the addresses of the region where the list of machines gives none', async () => {
    await using rig = await createRig()
    const discovery = await rig.appear(rig.address(1))
    rig.server.broken.add(VMS)
    assert.deepEqual(await find(discovery), [])
    rig.server.add(REGION, { type: 'AAAA', value: 'fdaa::7' })
    assert.deepEqual(await find(discovery), ['[fdaa::7]:9000'])
    rig.server.broken.add(REGION)
    await assert.rejects(find(discovery), { code: 'ERR_DISCOVERY', message: /fra\.app\.internal/ })
  })

  it('asks no name that a list could have made up', async () => {
    await using rig = await createRig()
    const discovery = await rig.appear(rig.address(1))
    const list = '1781fdaa1 fra,../evil fra,a.b fra, ,x,1 fra extra'
    rig.server.zone.set(VMS, [{ type: 'TXT', value: list }])
    rig.server.zone.set('1781fdaa1.vm.app.internal', [{ type: 'AAAA', value: 'fdaa::9' }])
    assert.deepEqual(await find(discovery), ['[fdaa::9]:9000'])
    const machines = rig.server.asked.filter((asked) => asked.includes('.vm.'))
    assert.deepEqual(machines.sort(), ['AAAA 1.vm.app.internal', 'AAAA 1781fdaa1.vm.app.internal'])
  })

  it('asks once a poll, and keeps who is missing in single answers', async () => {
    let nowMs = 0
    await using rig = await createRig({ pollMs: 3_000, peerTtlMs: 15_000 }, () => nowMs)
    const discovery = await rig.appear(rig.address(1))
    const gone = await rig.appear(rig.address(2))
    const both = [rig.address(1), rig.address(2)]
    assert.deepEqual(await find(discovery), both)
    const count = rig.server.asked.length
    nowMs = 2_999
    assert.deepEqual(await find(discovery), both)
    assert.equal(rig.server.asked.length, count, 'the last answer is young enough')

    await rig.disappear(rig.address(2), gone)
    for (nowMs = 3_000; nowMs < 15_000; nowMs += 3_000) {
      assert.deepEqual(await find(discovery), both, `after ${nowMs} ms`)
    }
    assert.deepEqual(await find(discovery), [rig.address(1)])
  })

  it('says whether a machine may be there that it could not find, also between polls', async () => {
    let nowMs = 0
    await using rig = await createRig({ pollMs: 3_000, peerTtlMs: 0 }, () => nowMs)
    const discovery = await rig.appear(rig.address(1))
    await rig.appear(rig.address(2))
    const look = async () => discovery.find({ signal: new AbortController().signal })
    assert.ok((await look()).isAll)
    const [, second = ''] = [...rig.machines.keys()]
    rig.server.broken.add(`${second}.vm.app.internal`)
    nowMs = 3_000
    for (let times = 0; times < 2; times += 1) {
      assert.deepEqual(await look(), { addresses: [rig.address(1)], isAll: false })
    }
    rig.server.broken.clear()
    nowMs = 6_000
    assert.deepEqual(await look(), { addresses: [rig.address(1), rig.address(2)], isAll: true })
  })
})
