/** What every discovery keeps to; each one's test runs this. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ADDRESSES_MAX, type Discovery } from '../../src/cluster/cluster.ts'
import { until } from '../processes/wait.ts'

/** A network, or a DNS, of a test's own. */
export interface DiscoveryRig extends AsyncDisposable {
  /** The address of the node of this number, from 1 on. */
  address(number: number): string
  /** A discovery of a node that others can find from now on, and that has announced itself. */
  appear(address: string): Promise<Discovery>
  /** That node ends, as well as it can. */
  disappear(address: string, discovery: Discovery): Promise<void>
  /** Far more addresses than there can be nodes, claimed by whoever can. */
  flood(): Promise<void>
  /** From now on nobody can be asked. */
  breakDown(): Promise<void>
  repair(): Promise<void>
}

const FOREVER = new AbortController().signal

async function find(discovery: Discovery): Promise<readonly string[]> {
  const { addresses } = await discovery.find({ signal: FOREVER })
  return [...addresses].sort()
}

async function untilFound(discovery: Discovery, expected: readonly string[]): Promise<void> {
  const wanted = [...expected].sort().join()
  await until(`${wanted} is found`, async () => (await find(discovery)).join() === wanted)
}

export function describeDiscovery(name: string, createRig: () => Promise<DiscoveryRig>): void {
  describe(`${name}, as every discovery`, () => {
    it('finds who has appeared, several at once, and nobody else', async () => {
      await using rig = await createRig()
      const addresses = [1, 2, 3].map((number) => rig.address(number))
      const discoveries = await Promise.all(addresses.map((address) => rig.appear(address)))
      for (const discovery of discoveries) {
        await until('all others are found', async () => {
          const others = new Set([
            ...(await find(discovery)),
            addresses[discoveries.indexOf(discovery)],
          ])
          return addresses.every((address) => others.has(address))
        })
        for (const found of await find(discovery)) assert.ok(addresses.includes(found), found)
      }
      for (const discovery of discoveries) await discovery.close()
    })

    it('finds nobody who has gone', async () => {
      await using rig = await createRig()
      const [first, second] = [rig.address(1), rig.address(2)]
      const seeing = await rig.appear(first)
      const seen = await rig.appear(second)
      await until('it is found', async () => (await find(seeing)).includes(second))
      await rig.disappear(second, seen)
      await until('it is found no more', async () => !(await find(seeing)).includes(second))
      await seeing.close()
    })

    it('finds nobody where nobody is, and that is no failure', async () => {
      await using rig = await createRig()
      const discovery = await rig.appear(rig.address(1))
      await rig.disappear(rig.address(1), await rig.appear(rig.address(1)))
      for (const found of await find(discovery)) assert.equal(found, rig.address(1))
      await discovery.close()
    })

    it('keeps within its bounds, and finds each address once', async () => {
      await using rig = await createRig()
      const discovery = await rig.appear(rig.address(1))
      await rig.flood()
      const found = await until('something is found', async () => {
        const addresses = await find(discovery)
        return addresses.length > 1 ? addresses : null
      })
      assert.ok(found.length <= ADDRESSES_MAX, `${found.length} addresses`)
      assert.equal(new Set(found).size, found.length)
      await discovery.close()
    })

    it('says that nobody can be asked, and finds again afterwards', async () => {
      await using rig = await createRig()
      await rig.breakDown()
      const discovery = await rig.appear(rig.address(1)).catch((error: unknown) => error)
      if (discovery instanceof Error) {
        assert.equal((discovery as NodeJS.ErrnoException).code, 'ERR_DISCOVERY')
      } else {
        await assert.rejects(find(discovery as Discovery), {
          code: 'ERR_DISCOVERY',
          retryable: true,
        })
      }
      await rig.repair()
      const [healed, other] = [await rig.appear(rig.address(1)), await rig.appear(rig.address(2))]
      await until('it is found', async () => (await find(healed)).includes(rig.address(2)))
      if (!(discovery instanceof Error)) await (discovery as Discovery).close()
      await healed.close()
      await other.close()
    })

    it('stops where its signal says so', async () => {
      await using rig = await createRig()
      const discovery = await rig.appear(rig.address(1))
      const aborted = { name: 'ColmenaError', code: 'ERR_ABORTED' }
      await assert.rejects(discovery.find({ signal: AbortSignal.abort('enough') }), aborted)
      const ending = new AbortController()
      const finding = discovery.find({ signal: ending.signal })
      ending.abort()
      // It may have had its answer by then.
      await finding.catch((error: { code: string }) => assert.equal(error.code, 'ERR_ABORTED'))
      await discovery.close()
    })

    it('closes twice, also amid a question, and answers nothing after that', async () => {
      await using rig = await createRig()
      const discovery = await rig.appear(rig.address(1))
      const finding = discovery.find({ signal: FOREVER })
      const closing = [discovery.close(), discovery.close()]
      await finding.catch((error: { code: string }) => assert.equal(error.code, 'ERR_CLOSED'))
      await Promise.all(closing)
      await assert.rejects(discovery.find({ signal: FOREVER }), { code: 'ERR_CLOSED' })
      await assert.rejects(discovery.announce(rig.address(1)), { code: 'ERR_CLOSED' })
    })
  })
}

export { find, untilFound }
