import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import {
  authorityFingerprint,
  createAuthority,
  issueCertificate,
} from '../../src/certificates/certificates.ts'

const DAY_MS = 86_400_000

/** Whether a date is so many days from now, give or take an hour. */
function isInDays(date: Date, days: number): boolean {
  return Math.abs(date.getTime() - Date.now() - days * DAY_MS) < 3_600_000
}

suite('certificates', () => {
  test('a CA may sign, and nothing below it may', async () => {
    const { cert, key } = await createAuthority({ name: 'shop 1', days: 10 })
    const ca = new X509Certificate(cert)
    assert.equal(ca.subject, 'CN=shop 1')
    assert.ok(ca.ca && ca.checkIssued(ca) && ca.verify(ca.publicKey))
    assert.ok(ca.checkPrivateKey(createPrivateKey(key)))
    assert.ok(isInDays(ca.validToDate, 10) && isInDays(ca.validFromDate, -1))
    const { days, name } = { days: 3_650, name: 'CN=colmena CA' }
    const other = new X509Certificate((await createAuthority()).cert)
    assert.ok(isInDays(other.validToDate, days) && other.subject === name)
    assert.notEqual(other.serialNumber, ca.serialNumber)
  })

  test('a node certificate has the node id, the addresses, and both directions', async () => {
    const { cert: ca, key: caKey } = await createAuthority()
    const addresses = ['10.0.0.7', 'db.example', 'fd00::7', '127.0.0.1']
    const node = await issueCertificate({ ca, caKey, nodeId: 'a-1.x_Y', addresses, days: 30 })
    const leaf = new X509Certificate(node.cert)
    const authority = new X509Certificate(ca)
    assert.deepEqual(leaf.subjectAltName?.split(', '), [
      'DNS:a-1.x_Y',
      'IP Address:10.0.0.7',
      'DNS:db.example',
      'IP Address:FD00:0:0:0:0:0:0:7',
      'IP Address:127.0.0.1',
      'IP Address:0:0:0:0:0:0:0:1',
    ])
    assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey) && !leaf.ca)
    assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
    const key = createPrivateKey(node.key)
    assert.ok(leaf.checkPrivateKey(key) && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
    assert.ok(isInDays(leaf.validToDate, 30))
  })

  test('none outlives its CA, and each has a key and a number of its own', async () => {
    const { cert: ca, key: caKey } = await createAuthority({ days: 5 })
    const [one, two] = await Promise.all([
      issueCertificate({ ca, caKey, nodeId: 'a' }),
      issueCertificate({ ca, caKey, nodeId: 'a' }),
    ])
    assert.notEqual(one.key, two.key)
    const [first, second] = [new X509Certificate(one.cert), new X509Certificate(two.cert)]
    assert.notEqual(first.serialNumber, second.serialNumber)
    assert.equal(first.validTo, new X509Certificate(ca).validTo)
  })

  test('one for good is so from the first day of its CA, as clocks may be behind', async (t) => {
    const { cert: ca, key: caKey } = await createAuthority()
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 700 * DAY_MS })
    const issued = { ca, caKey, nodeId: 'a' }
    const forGood = new X509Certificate((await issueCertificate({ ...issued, days: 36_500 })).cert)
    assert.deepEqual(forGood.validFromDate, new X509Certificate(ca).validFromDate)
    assert.equal(forGood.validTo, new X509Certificate(ca).validTo)
    const other = new X509Certificate((await issueCertificate(issued)).cert)
    assert.ok(isInDays(other.validFromDate, -1))
    assert.ok(isInDays(other.validToDate, 365))
  })

  test('a date beyond 2049 is read by others, too', async () => {
    const { cert: ca, key: caKey } = await createAuthority({ days: 36_500 })
    const { cert } = await issueCertificate({ ca, caKey, nodeId: 'n'.repeat(128), days: 36_500 })
    assert.equal(new X509Certificate(cert).validToDate.getTime() > Date.UTC(2100, 0), true)
    assert.equal(new X509Certificate(cert).subjectAltName?.split(', ')[0], `DNS:${'n'.repeat(128)}`)
  })

  test('the fingerprint of a CA is the SHA-256 of its certificate', async () => {
    const [{ cert: ca }, { cert: old }] = [await createAuthority(), await createAuthority()]
    const expected = createHash('sha256').update(new X509Certificate(ca).raw).digest('hex')
    assert.equal(Buffer.from(authorityFingerprint(ca)).toString('hex'), expected)
    assert.deepEqual(authorityFingerprint(`${ca}${old}`), authorityFingerprint(ca))
    assert.throws(() => authorityFingerprint('nonsense'), { code: 'ERR_INVALID_OPTION' })
  })

  test('what is wrong is named', async (t) => {
    const { cert: ca, key: caKey } = await createAuthority()
    const node = await issueCertificate({ ca, caKey, nodeId: 'a' })
    const other = await createAuthority()
    const refused = async (change: object, message: RegExp): Promise<void> => {
      const promise = issueCertificate({ ca, caKey, nodeId: 'b', ...change })
      await assert.rejects(promise, { code: 'ERR_INVALID_OPTION', message })
    }
    await refused({ nodeId: 'a b' }, /nodeId is 'a b'/)
    await refused({ nodeId: 'a, DNS:b' }, /nodeId is 'a, DNS:b'/)
    await refused({ nodeId: '' }, /nodeId is ''/)
    await refused({ days: 0 }, /days is 0; .*1 to 36500/)
    await refused({ days: 1.5 }, /days is 1.5/)
    await refused({ addresses: ['a b'] }, /'a b' is neither/)
    await refused({ ca: 'x' }, /ca holds no certificate/)
    await refused({ caKey: 'x' }, /caKey holds no private key/)
    await refused({ caKey: other.key }, /caKey is not the key of ca/)
    await refused({ ca: node.cert, caKey: node.key }, /it is no CA/)
    await assert.rejects(createAuthority({ name: 'a,O=b' }), { code: 'ERR_INVALID_OPTION' })
    await assert.rejects(createAuthority({ days: 40_000 }), /days is 40000/)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() - 40 * DAY_MS })
    const past = await createAuthority({ days: 30 })
    t.mock.timers.reset()
    await refused({ ca: past.cert, caKey: past.key }, /ca has expired, at 20/)
  })
})
