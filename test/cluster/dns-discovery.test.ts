import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDnsDiscovery } from '../../src/dns/dns-discovery.ts'
import { type DiscoveryRig, describeDiscovery, find } from './discovery-conformance.ts'
import { DnsServer, type ZoneRecord } from './dns-server.ts'

const NAME = 'nodes.example'
const SERVICE = '_colmena._tcp.nodes.example'
const PORT = 9000

async function createRig(): Promise<DiscoveryRig> {
  const server = await DnsServer.start()
  const recordOf = (address: string): ZoneRecord => {
    const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '')
    return { type: host.includes(':') ? 'AAAA' : 'A', value: host }
  }
  return {
    // Some by IPv4, some by IPv6, as a dual-stack service has them.
    address: (number) => (number % 2 === 0 ? `[fd00::${number}]:9000` : `10.0.0.${number}:9000`),
    appear: async (address) => {
      server.add(NAME, recordOf(address))
      const discovery = createDnsDiscovery({ name: NAME, port: PORT, servers: [server.address] })
      await discovery.announce(address)
      return discovery
    },
    disappear: async (address, discovery) => {
      const { value } = recordOf(address) as { readonly value: string }
      server.remove(NAME, (record) => 'value' in record && record.value === value)
      await discovery.close()
    },
    flood: async () => {
      for (let at = 0; at < 300; at += 1) {
        server.add(NAME, { type: 'A', value: `10.1.${at >> 8}.${at & 255}` })
      }
      server.add(NAME, { type: 'A', value: '10.1.0.0' })
    },
    breakDown: () => server.close(),
    repair: () => server.listen(),
    [Symbol.asyncDispose]: () => server.close(),
  }
}

describeDiscovery('DNS', createRig)

describe('DNS', () => {
  it('takes ports from SRV records, of targets that can be resolved', async () => {
    await using server = await DnsServer.start()
    // Of domains of their own: this server would shorten names, which an SRV record may not do.
    for (const [at, port] of [9001, 9002, 9003].entries()) {
      server.add(SERVICE, { type: 'SRV', target: `n.d${at}`, port })
    }
    server.add('n.d0', { type: 'A', value: '10.0.0.1' }, { type: 'AAAA', value: 'fd00::1' })
    server.add('n.d1', { type: 'A', value: '10.0.0.2' })
    server.broken.add('n.d2')
    const discovery = createDnsDiscovery({ name: SERVICE, port: PORT, servers: [server.address] })
    assert.deepEqual(await find(discovery), ['10.0.0.1:9001', '10.0.0.2:9002', '[fd00::1]:9001'])

    server.broken.add('n.d0').add('n.d1')
    await assert.rejects(find(discovery), {
      code: 'ERR_DISCOVERY',
      message: /n\.d0.*ESERVFAIL/,
    })
  })

  it('takes one kind of address where the other kind can not be asked for', async () => {
    await using server = await DnsServer.start()
    const discovery = createDnsDiscovery({ name: NAME, port: PORT, servers: [server.address] })
    assert.deepEqual(await find(discovery), [])
    server.add(NAME, { type: 'A', value: '10.0.0.1' })
    server.broken.add(`AAAA ${NAME}`)
    assert.deepEqual(await find(discovery), ['10.0.0.1:9000'])
    server.broken.add(NAME)
    await assert.rejects(find(discovery), { code: 'ERR_DISCOVERY' })
  })

  it('says whether somebody may be there whom it could not find', async () => {
    await using server = await DnsServer.start()
    const isAll = async (name: string): Promise<boolean> => {
      const discovery = createDnsDiscovery({ name, port: PORT, servers: [server.address] })
      return (await discovery.find({ signal: new AbortController().signal })).isAll
    }
    server.add(NAME, { type: 'A', value: '10.0.0.1' })
    assert.ok(await isAll(NAME))
    server.broken.add(`AAAA ${NAME}`)
    assert.ok(!(await isAll(NAME)), 'some may have IPv6 alone')

    for (const at of [0, 1]) server.add(SERVICE, { type: 'SRV', target: `n.d${at}`, port: 9001 })
    server.add('n.d0', { type: 'A', value: '10.0.0.1' })
    assert.ok(await isAll(SERVICE), 'a name that is gone has nobody')
    server.broken.add('n.d1')
    assert.ok(!(await isAll(SERVICE)))

    for (let at = 0; at < 300; at += 1) {
      server.add('many', { type: 'A', value: `10.1.${at >> 8}.${at & 255}` })
    }
    assert.ok(!(await isAll('many')))
  })

  it('gives up a DNS that keeps silent, at its signal', async () => {
    await using server = await DnsServer.start()
    server.isMute = true
    const discovery = createDnsDiscovery({ name: NAME, port: PORT, servers: [server.address] })
    const ending = new AbortController()
    const finding = discovery.find({ signal: ending.signal })
    setImmediate(() => ending.abort())
    await assert.rejects(finding, { code: 'ERR_ABORTED' })
    const closed = discovery.find({ signal: new AbortController().signal })
    setImmediate(() => discovery.close())
    await assert.rejects(closed, { code: 'ERR_CLOSED' })
  })
})
