/** A certificate that is about to end is told of in time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/base/ports.ts'
import { CertificateWatch, readValidity } from '../../src/transport/certificate-watch.ts'
import { TestAuthority } from '../certificates/authority.ts'
import { makeOdd } from '../certificates/odd.ts'
import { clock, openNode, until } from './cluster.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A watch whose clock the test moves. */
class Rig {
  readonly warnings: string[] = []
  readonly watch: CertificateWatch
  wallMs = Date.now()
  #nowMs = 0

  constructor(validity: ReturnType<typeof readValidity>) {
    const now: Clock = {
      nowMs: () => this.#nowMs,
      wallMs: () => this.wallMs,
      setTimer: () => assert.fail('it waits for nothing by itself'),
    }
    this.watch = new CertificateWatch(now, validity, (message) => this.warnings.push(message))
  }

  /** What is told once so much time has gone by. */
  after(ms: number): string[] {
    this.wallMs += ms
    this.#nowMs += ms
    this.warnings.length = 0
    this.watch.look()
    return [...this.warnings]
  }
}

test('it is told a month before, once a day, and once it is over', async () => {
  const authority = await TestAuthority.create()
  const rig = new Rig(readValidity(await authority.tls('a', [authority], 365)))
  assert.deepEqual(rig.after(334 * DAY_MS), [])
  const [first = ''] = rig.after(2 * DAY_MS)
  assert.match(first, /^this node's certificate \(CN=a\) expires in 2[89] days, at 20\d\d-/)
  assert.match(first, /no new connection is made from then on. In time, have a new one issued, and/)
  assert.deepEqual(rig.after(23 * HOUR_MS), [])
  assert.equal(rig.after(HOUR_MS).length, 1)
  const [hours = ''] = rig.after(27 * DAY_MS + 12 * HOUR_MS)
  assert.match(hours, /expires in 1[012] h, at/)
  const [over = ''] = rig.after(13 * HOUR_MS)
  assert.match(over, /has expired, at 20.*: no new connection is made\. /)
  assert.deepEqual(rig.after(HOUR_MS), [])

  rig.watch.replace(null)
  assert.deepEqual([rig.after(40 * DAY_MS), rig.watch.endsMs], [[], null])
  rig.watch.replace(readValidity(await authority.tls('a', [authority], 500)))
  assert.equal(rig.after(70 * DAY_MS).length, 1, 'another one is told of anew')
})

test('one that is made for few days is told of in its last quarter', async () => {
  const authority = await TestAuthority.create()
  // From yesterday on.
  const rig = new Rig(readValidity(await authority.tls('a', [authority], 7)))
  assert.deepEqual(rig.after(4 * DAY_MS), [])
  assert.equal(rig.after(1.5 * DAY_MS).length, 1)
})

test("a CA's end counts, and one between, and of none that has signed nothing", async () => {
  const ending = await TestAuthority.create('ending CA', 20)
  const other = await TestAuthority.create('other CA', 5)
  const own = await ending.tls('a', [other, ending], 365)
  const validity = readValidity(own)
  assert.deepEqual([validity.subject, validity.isAuthority], ['CN=ending CA', true])
  const [warning = ''] = new Rig(validity).after(16 * DAY_MS)
  assert.match(warning, /the CA above this node's certificate \(CN=ending CA\) .* replace the CA/)

  const root = await makeOdd({ name: 'root', isAuthority: true })
  const between = await makeOdd({ name: 'between', by: root, isAuthority: true })
  const leaf = await makeOdd({ name: 'a', by: between })
  const chain = readValidity({ ca: root.cert, cert: `${leaf.cert}\n${between.cert}` })
  assert.equal(chain.isAuthority, true)
})

test('a transport tells of its own, and of what takes their place', async (t) => {
  const authority = await TestAuthority.create()
  const short = await authority.tls('node-1', [authority], 10)
  const long = await authority.tls('node-1', [authority], 100)
  let aheadMs = 0
  const ahead: Clock = { ...clock, wallMs: () => Date.now() + aheadMs }
  const own = { security: short, clock: ahead, pingMs: 5 }
  const { transport, log } = await openNode(t, { memberId: 1, ...own })
  const days = (): number => Math.round(((transport.certificateEndsMs ?? 0) - Date.now()) / DAY_MS)
  assert.equal(days(), 10)
  aheadMs = 8 * DAY_MS
  await until('a warning', () => log.warnings.length > 0)
  assert.deepEqual([...new Set(log.warnings.map(({ code }) => code))], ['ERR_CERTIFICATE'])
  await new Promise<void>((resolve, reject) => {
    transport.rotate(long, (error) => (error === null ? resolve() : reject(error)))
  })
  assert.equal(days(), 100)
  const plain = await openNode(t, { memberId: 2 })
  assert.equal(plain.transport.certificateEndsMs, null)
})
