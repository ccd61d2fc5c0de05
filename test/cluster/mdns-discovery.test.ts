import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import multicastDns, { type MulticastDNS } from 'multicast-dns'
import { Announcements } from '../../src/lan/announcements.ts'
import { MdnsDiscovery, type MdnsDiscoveryOptions } from '../../src/lan/mdns-discovery.ts'
import {
  describeNode,
  isAsked,
  type MdnsRecord,
  question,
  readAnnouncements,
} from '../../src/lan/mdns-records.ts'
import { until } from '../processes/wait.ts'
import { type DiscoveryRig, describeDiscovery, find } from './discovery-conformance.ts'
import { freeUdpPort } from './free-udp-port.ts'

const LOOPBACK = '127.0.0.1'
const CLUSTER = '00112233aabbccdd'

function openDiscovery(
  port: number,
  nodeId: string,
  more: Partial<MdnsDiscoveryOptions> = {},
): MdnsDiscovery {
  const shared = { cluster: CLUSTER, interface: LOOPBACK, gapMs: 20 }
  return new MdnsDiscovery({ ...shared, nodeId, port, ...more })
}

/** Somebody on the same network. */
async function openStranger(port: number): Promise<MulticastDNS> {
  const how = { port, interface: LOOPBACK, bind: '0.0.0.0', loopback: true, reuseAddr: true }
  const stranger = multicastDns(how)
  await once(stranger, 'ready')
  return stranger
}

async function createRig(): Promise<DiscoveryRig> {
  const port = await freeUdpPort()
  let blocker: Socket | null = null
  let strangers: MulticastDNS[] = []
  const repair = async (): Promise<void> => {
    if (blocker === null) return
    blocker.close()
    await once(blocker, 'close')
    blocker = null
  }
  return {
    address: (number) => `192.0.2.${number}:9000`,
    appear: async (address) => {
      const discovery = openDiscovery(port, `node at ${address}`)
      try {
        await discovery.announce(address)
      } catch (error) {
        await discovery.close()
        throw error
      }
      return discovery
    },
    disappear: (_address, discovery) => discovery.close(),
    flood: async () => {
      const stranger = await openStranger(port)
      strangers = [...strangers, stranger]
      for (let at = 0; at < 400; at += 1) {
        const host = `10.2.${at >> 8}.${at & 255}`
        const own = { cluster: CLUSTER, nodeId: `n${at}`, host, port: 9000 }
        stranger.respond([...describeNode(own)] as never)
      }
    },
    // A socket that shares its port with nobody.
    breakDown: async () => {
      blocker = createSocket({ type: 'udp4', reuseAddr: false })
      blocker.bind(port, '0.0.0.0')
      await once(blocker, 'listening')
    },
    repair,
    [Symbol.asyncDispose]: async () => {
      await repair()
      for (const stranger of strangers) stranger.destroy()
    },
  }
}

describeDiscovery('mDNS', createRig)

describe('mDNS', () => {
  it('keeps clusters on one network apart', async () => {
    const port = await freeUdpPort()
    const ours = [openDiscovery(port, 'a'), openDiscovery(port, 'b')] as const
    const theirs = openDiscovery(port, 'a', { cluster: 'ffeeddccbbaa9988' })
    await theirs.announce('192.0.2.9:9000')
    await ours[0].announce('192.0.2.1:9000')
    await ours[1].announce('192.0.2.2:9000')
    await until('the other one is found', async () =>
      (await find(ours[0])).includes('192.0.2.2:9000'),
    )
    assert.ok(!(await find(ours[0])).includes('192.0.2.9:9000'))
    assert.deepEqual(await find(theirs), ['192.0.2.9:9000'])
    for (const discovery of [...ours, theirs]) await discovery.close()
  })

  it('answers what any browser of services asks, and says goodbye', async () => {
    const port = await freeUdpPort()
    const stranger = await openStranger(port)
    const heard: MdnsRecord[] = []
    stranger.on('response', ({ answers }) => heard.push(...(answers as MdnsRecord[])))
    const discovery = openDiscovery(port, 'a')
    await discovery.announce('192.0.2.1:9000')
    await until('it is announced', () => heard.length > 0)
    for (const [name, type] of [
      ['_colmena._tcp.local', 'PTR'],
      [`_${CLUSTER}._sub._colmena._tcp.local`, 'PTR'],
      ['_services._dns-sd._udp.local', 'PTR'],
    ] as const) {
      await until(`${name} is answered`, () => {
        heard.splice(0)
        stranger.query({ questions: [{ name, type }] })
        return new Promise<boolean>((resolve) => {
          stranger.once('response', () => setImmediate(() => resolve(true)))
        })
      })
      const answer = heard.find((record) => record.name === name && record.type === type)
      assert.ok(answer !== undefined, `${name} is among the answers`)
    }
    const kinds = heard.map(({ type }) => type).sort()
    assert.deepEqual(kinds, ['A', 'PTR', 'PTR', 'PTR', 'SRV', 'TXT'])
    heard.splice(0)
    await discovery.close()
    await until('it says goodbye', () => heard.some(({ ttl }) => ttl === 0))
    stranger.destroy()
  })

  it('is announced anew at another address, and the old one taken back', async () => {
    const port = await freeUdpPort()
    const [moving, seeing] = [openDiscovery(port, 'a'), openDiscovery(port, 'b')]
    await moving.announce('192.0.2.1:9000')
    await until('it is found', async () => (await find(seeing)).includes('192.0.2.1:9000'))
    await moving.announce('[2001:db8::1]:9001')
    await until('it has moved', async () => (await find(seeing)).join() === '[2001:db8::1]:9001')
    await moving.close()
    await seeing.close()
  })

  it('waits for those that have just answered, and must let a gap go by', async () => {
    const port = await freeUdpPort()
    const gapMs = 600
    const there = openDiscovery(port, 'a', { gapMs })
    await there.announce('192.0.2.1:9000')
    const late = openDiscovery(port, 'b', { gapMs })
    assert.deepEqual(await find(late), ['192.0.2.1:9000'])
    await there.close()
    await late.close()
  })

  it('ends a question that is closed before there is a socket', async () => {
    const discovery = openDiscovery(await freeUdpPort(), 'a')
    const finding = discovery.find({ signal: new AbortController().signal })
    const closing = discovery.close()
    await assert.rejects(finding, { code: 'ERR_CLOSED' })
    await closing
  })

  it('asks nobody while nobody could be spoken with', async () => {
    let fault: string | null = 'the clock is wrong'
    const discovery = openDiscovery(await freeUdpPort(), 'a', { fault: () => fault })
    await assert.rejects(find(discovery), { code: 'ERR_DISCOVERY', message: fault })
    fault = null
    assert.deepEqual(await find(discovery), [])
    await discovery.close()
  })

  it('reads no packet that no honest machine would send', async () => {
    const port = await freeUdpPort()
    const discovery = openDiscovery(port, 'a')
    await find(discovery)
    const stranger = await openStranger(port)
    const tell = async (host: string, more: readonly MdnsRecord[]): Promise<void> => {
      const own = { cluster: CLUSTER, nodeId: host, host, port: 9000 }
      const answers = [...describeNode(own), ...more] as never
      await new Promise((resolve) => stranger.respond({ answers }, resolve))
    }
    const text = { name: 'x.local', type: 'TXT', ttl: 120 }
    await tell('192.0.2.1', Array(40).fill({ ...text, data: ['x'.repeat(250)] }))
    await tell('192.0.2.2', Array(300).fill({ ...text, data: ['x'] }))
    await tell('192.0.2.3', Array(100).fill({ ...text, data: ['x'] }))
    await until('it has heard the last', async () => (await find(discovery)).length > 0)
    assert.deepEqual(await find(discovery), ['192.0.2.3:9000'])
    stranger.destroy()
    await discovery.close()
  })

  it('goes on whatever strangers send', async () => {
    const port = await freeUdpPort()
    const [a, b] = [openDiscovery(port, 'a'), openDiscovery(port, 'b')]
    await a.announce('192.0.2.1:9000')
    const stranger = createSocket('udp4')
    stranger.bind(0)
    await once(stranger, 'listening')
    stranger.setMulticastInterface(LOOPBACK)
    const send = (bytes: Uint8Array): Promise<void> =>
      new Promise((resolve) => stranger.send(bytes, port, '224.0.0.251', () => resolve()))
    // Whole packets of ours with something in them changed, and anything at all.
    const packets = await recordPackets(port, async () => {
      await a.find({ signal: new AbortController().signal })
      await b.announce('192.0.2.2:9000')
    })
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...packets),
        fc.nat(),
        fc.uint8Array({ maxLength: 40 }),
        async (packet, at, bytes) => {
          const changed = Uint8Array.from(packet)
          const offset = at % changed.length
          changed.set(bytes.subarray(0, changed.length - offset), offset)
          await send(changed)
          if (bytes.length > 0) await send(bytes)
        },
      ),
      { numRuns: 200 },
    )
    await until('it is found all the same', async () => (await find(a)).includes('192.0.2.2:9000'))
    stranger.close()
    await a.close()
    await b.close()
  })
})

/** What is sent to the group while `act` runs. */
async function recordPackets(port: number, act: () => Promise<void>): Promise<Buffer[]> {
  const packets: Buffer[] = []
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  socket.on('message', (bytes) => packets.push(bytes))
  socket.bind(port, '0.0.0.0')
  await once(socket, 'listening')
  socket.addMembership('224.0.0.251', LOOPBACK)
  await act()
  await until('packets were heard', () => packets.length >= 2)
  socket.close()
  return packets
}

describe('records of mDNS', () => {
  const own = { cluster: CLUSTER, nodeId: 'a', host: '192.0.2.1', port: 9000 }

  it('are read as they are written, also for hosts with a name', () => {
    assert.deepEqual(readAnnouncements(describeNode(own), CLUSTER), [
      { address: '192.0.2.1:9000', ttlMs: 120_000 },
    ])
    assert.deepEqual(readAnnouncements(describeNode(own, true), CLUSTER), [
      { address: '192.0.2.1:9000', ttlMs: 0 },
    ])
    const named = describeNode({ ...own, host: 'node-a.lan' })
    assert.deepEqual(readAnnouncements(named, CLUSTER), [
      { address: 'node-a.lan:9000', ttlMs: 120_000 },
    ])
    assert.deepEqual(readAnnouncements(describeNode(own), 'ffeeddccbbaa9988'), [])
  })

  it('fit into one packet and into what names may be, for the longest node id', () => {
    const records = describeNode({ ...own, nodeId: 'é'.repeat(128) })
    for (const { name } of records) {
      for (const label of name.split('.')) assert.ok(Buffer.byteLength(label) <= 63, label)
    }
    // RFC 6763: a service's own name has at most 15 characters.
    const services = records.map(({ name }) => /_([a-z-]+)\._tcp/.exec(name)?.[1])
    for (const service of services) assert.ok((service ?? '').length <= 15)
  })

  it('answer questions for this node alone', () => {
    const asks = (name: string, type = 'PTR'): boolean => isAsked(own, [{ name, type }])
    assert.ok(asks(question(CLUSTER).name))
    assert.ok(asks('_COLMENA._tcp.LOCAL'))
    assert.ok(!asks(question('ffeeddccbbaa9988').name))
    assert.ok(!asks('_http._tcp.local'))
    assert.ok(!asks(question(CLUSTER).name, 'A'))
    const [, , , service] = describeNode(own)
    assert.ok(asks(service?.name ?? '', 'SRV'))
  })

  it('of strangers give nothing that can not be dialled, and few at once', () => {
    const [subtype, list, , service, text, address] = describeNode(own) as MdnsRecord[]
    const read = (...records: unknown[]): readonly unknown[] =>
      readAnnouncements(records as MdnsRecord[], CLUSTER)
    assert.equal(read(subtype, list, service, text, address).length, 1)
    assert.deepEqual(read(service, address), [], 'of no cluster')
    assert.deepEqual(read(service, text), [], 'a name of .local that nobody resolves')
    assert.deepEqual(read(service, text, { ...address, data: 'evil\n' }), [])
    const withData = (data: unknown): unknown => ({ ...service, data })
    assert.deepEqual(read(withData({ port: 0, target: 'x.lan' }), text), [])
    assert.deepEqual(read(withData({ port: 1, target: 'a b' }), text), [])
    assert.deepEqual(read(withData({ port: 1, target: '[::1' }), text), [])
    const many = Array.from({ length: 100 }, (_, at) => withData({ port: at + 1, target: 'x.lan' }))
    assert.equal(read(...many, text).length, 16)
    const forEver = { ...service, ttl: 0xffff_ffff }
    assert.deepEqual(read(forEver, text, address), [{ address: '192.0.2.1:9000', ttlMs: 300_000 }])
  })

  it('are kept as long as they hold, and within bounds for each sender', () => {
    const kept = new Announcements()
    const hear = (address: string, sender: string, nowMs: number, ttlMs = 1_000): void =>
      kept.hear({ address, ttlMs }, sender, nowMs)
    hear('a:1', 's1', 0)
    hear('b:1', 's2', 500)
    assert.deepEqual(kept.addresses(999), ['a:1', 'b:1'])
    assert.deepEqual(kept.addresses(1_000), ['b:1'])
    hear('b:1', 's3', 1_000, 0)
    assert.deepEqual(kept.addresses(1_000), ['b:1'], 'only its sender takes it back')
    hear('b:1', 's3', 1_000)
    hear('b:1', 's3', 1_000, 0)
    assert.deepEqual(kept.addresses(1_000), ['b:1'], 'nor one that said the same')
    hear('b:1', 's2', 1_000, 0)
    assert.deepEqual(kept.addresses(1_000), [])

    for (let port = 1; port <= 100; port += 1) hear(`x:${port}`, 'loud', 2_000)
    assert.equal(kept.addresses(2_000).length, 32)
    hear('y:1', 's4', 2_000)
    assert.ok(kept.addresses(2_000).includes('y:1'), 'others have room')
    for (let at = 1; at <= 400; at += 1) hear(`z:${at}`, `sender ${at}`, 2_000)
    assert.equal(kept.addresses(2_000).length, 256)
  })
})
