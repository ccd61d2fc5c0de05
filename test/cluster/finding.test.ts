import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Discovery, Found } from '../../src/cluster/discovery.ts'
import { Finding } from '../../src/cluster/finding.ts'

/** A discovery that does what a test has it do next. */
class FakeDiscovery implements Discovery {
  readonly announced: string[] = []
  addresses: readonly string[] | Error = []
  isAll = true
  canAnnounce = true

  async announce(address: string): Promise<void> {
    if (!this.canAnnounce) throw new Error('there is no network')
    this.announced.push(address)
  }

  async find(): Promise<Found> {
    if (this.addresses instanceof Error) throw this.addresses
    return { addresses: this.addresses, isAll: this.isAll }
  }

  async close(): Promise<void> {}
}

const { signal } = new AbortController()

describe('what a discovery finds for a node', () => {
  it('is asked for once this node is announced, which is tried until it succeeds', async () => {
    const discovery = new FakeDiscovery()
    const finding = new Finding(discovery, 'a:1')
    discovery.canAnnounce = false
    await assert.rejects(async () => finding.source({ signal }), /no network/)
    discovery.canAnnounce = true
    discovery.addresses = ['a:1', 'b:1']
    assert.deepEqual(await finding.source({ signal }), ['a:1', 'b:1'])
    await finding.source({ signal })
    assert.deepEqual(discovery.announced, ['a:1'])
  })

  it('tells who is not there, and nothing where it could not be asked', async () => {
    const discovery = new FakeDiscovery()
    const finding = new Finding(discovery, 'a:1')
    assert.ok(finding.isFound('b:1'), 'nobody was asked yet')
    discovery.addresses = ['a:1']
    await finding.source({ signal })
    assert.ok(finding.isFound('a:1'))
    assert.ok(!finding.isFound('b:1'))
    discovery.isAll = false
    await finding.source({ signal })
    assert.ok(finding.isFound('b:1'), 'a part of the answer is missing')
    discovery.addresses = new Error('the DNS is down')
    await assert.rejects(async () => finding.source({ signal }), /down/)
    assert.ok(finding.isFound('b:1'))
  })
})
