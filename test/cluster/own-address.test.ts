import assert from 'node:assert/strict'
import { networkInterfaces } from 'node:os'
import { describe, it } from 'node:test'
import {
  everyInterface,
  findOwnAddress,
  ownHosts,
  splitAddress,
} from '../../src/cluster/cluster.ts'

describe('where a node is found', () => {
  it('is where it listens, at the port that is really taken', async () => {
    assert.deepEqual(await findOwnAddress('10.0.0.1:9000', undefined), {
      bind: '10.0.0.1:9000',
      advertise: '10.0.0.1:9000',
    })
    const { bind, advertise } = await findOwnAddress('127.0.0.1:0', undefined)
    assert.match(bind, /^127\.0\.0\.1:[1-9]\d*$/)
    assert.equal(advertise, bind)
    const six = await findOwnAddress('[fdaa::1]:9000', undefined)
    assert.equal(six.advertise, '[fdaa::1]:9000')
  })

  it('is what it is told to be, also behind an address translation', async () => {
    const told = await findOwnAddress('127.0.0.1:0', 'node-a.lan:0')
    assert.equal(told.advertise, `node-a.lan:${splitAddress('bind', told.bind)[1]}`)
    const moved = await findOwnAddress('0.0.0.0:9000', '[2001:db8::1]:19000')
    assert.deepEqual(moved, { bind: '0.0.0.0:9000', advertise: '[2001:db8::1]:19000' })
  })

  it('is the first address beyond loopback, where it listens at all of them', async () => {
    const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
    const beyond = all.filter(({ internal, scopeid = 0 }) => !internal && scopeid === 0)
    const v4 = beyond.find(({ family }) => family === 'IPv4')
    const v6 = beyond.find(({ family }) => family === 'IPv6')
    for (const [bind, first] of [
      ['0.0.0.0:9000', v4],
      [':9000', v4],
      ['[::]:9000', v4 ?? v6],
    ] as const) {
      const finding = findOwnAddress(bind, undefined)
      const host = first?.family === 'IPv6' ? `[${first.address}]` : first?.address
      if (host !== undefined) assert.equal((await finding).advertise, `${host}:9000`)
      else await assert.rejects(finding, { code: 'ERR_INVALID_OPTION', message: /advertise/ })
    }
    assert.ok(ownHosts().includes('127.0.0.1'))
  })

  it('is every interface of a family that there is, where nothing is said', () => {
    const six = { address: '2001:db8::1', family: 'IPv6', internal: false, scopeid: 0 } as const
    const four = { address: '192.0.2.1', family: 'IPv4', internal: false } as const
    const local = { ...six, address: 'fe80::1', scopeid: 2 }
    const loopback = { ...four, address: '127.0.0.1', internal: true }
    const more = { netmask: '', mac: '', cidr: null }
    for (const [addresses, bind] of [
      [[loopback, local, six], '[::]:9000'],
      [[loopback, six, four], '0.0.0.0:9000'],
      [[loopback, local], '0.0.0.0:9000'],
    ] as const) {
      const eth0 = addresses.map((address) => ({ ...more, ...address }))
      assert.equal(everyInterface(9000, { eth0 }), bind)
    }
  })

  it('is refused where it is no address', async () => {
    for (const bad of ['a', 'a:b', 'a:65536', '::1:9000', '[a]:1', 'a b:1', 'http://a:1']) {
      const refused = { code: 'ERR_INVALID_OPTION', message: /advertise is .*host:port/ }
      await assert.rejects(findOwnAddress('127.0.0.1:0', bad), refused, bad)
    }
  })
})
