import assert from 'node:assert/strict'
import { createPrivateKey } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { ColmenaError } from '../../src/base/errors.ts'
import { type ColmenaNode, type OpenOptions, open, type TlsOptions } from '../../src/index.ts'
import { checkOpenOptions } from '../../src/node/config.ts'
import { atDay, TestAuthority } from '../certificates/authority.ts'
import { makeOdd } from '../certificates/odd.ts'
import { temporaryDirectory } from './temporary.ts'

const authority = await TestAuthority.create()
const { kind: _, ...own } = await authority.tls('a')
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

function check(tls: unknown, more: object = {}): ReturnType<typeof checkOpenOptions> {
  return checkOpenOptions({ dataDir: '.', bind: '10.0.0.7:9000', tls, ...more })
}

function refused(tls: unknown, pattern: RegExp, more: object = {}): void {
  assert.throws(
    () => check(tls, more),
    (error: unknown) => {
      assert.ok(error instanceof ColmenaError)
      assert.equal(error.code, 'ERR_INVALID_OPTION')
      assert.match(error.message, pattern)
      // Not even the first line of a key.
      assert.ok(!error.message.includes(own.key.split('\n')[1] as string))
      return true
    },
  )
}

function openHere(t: TestContext, more: Partial<OpenOptions>): Promise<ColmenaNode> {
  const bind = '127.0.0.1:0'
  return open({ dataDir: temporaryDirectory(t), bind, bootstrap: true, ...more })
}

suite('tls of open', () => {
  test('certificates are enough beyond loopback, as text or as bytes', () => {
    const { security } = check(own)
    assert.equal(security.kind, 'tls')
    const bytes = {
      ca: [Buffer.from(own.ca)],
      cert: Buffer.from(own.cert),
      key: Buffer.from(own.key),
    }
    assert.deepEqual(check(bytes).security, security)
    assert.ok(Object.isFrozen(security))
  })

  test('one way to protect connections at a time', () => {
    refused(own, /secret and tls are two ways/, { secret: 'sixteen bytes ok' })
    refused(own, /leave insecure out/, { insecure: true })
  })

  test('what is missing, misspelt or no PEM is named', () => {
    refused('./ca.pem', /options of tls must be an object; known are ca, cert, key, passphrase/)
    refused({ ...own, certificate: 'x' }, /unknown option 'certificate' of tls/)
    for (const field of ['ca', 'cert', 'key'] as const) {
      const { [field]: __, ...rest } = own
      refused(rest, new RegExp(`tls.${field} is missing; .* readFileSync\\('./${field}.pem'\\)`))
      refused({ ...own, [field]: './x.pem' }, new RegExp(`tls.${field} is no PEM; pass what the`))
      refused({ ...own, [field]: 7 }, new RegExp(`tls.${field} is no PEM`))
    }
    refused({ ...own, ca: [] }, /tls.ca is no PEM/)
    refused({ ...own, ca: [own.ca, 'x'] }, /tls.ca is no PEM/)
    refused({ ...own, cert: own.key }, /tls.cert holds no certificate/)
    refused({ ...own, key: own.cert }, /tls.key holds no private key/)
    refused({ ...own, passphrase: 7 }, /tls.passphrase must be a string/)
    const broken = own.ca.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n')
    refused({ ...own, ca: own.ca + broken }, /tls.ca: certificate 2 can't be read/)
    refused({ ...own, cert: broken }, /tls.cert: the certificate can't be read/)
  })

  test('an encrypted key needs its passphrase, and the right one', () => {
    const cipher = { cipher: 'aes-256-cbc', passphrase: 'open sesame' }
    const key = createPrivateKey(own.key).export({ type: 'pkcs8', format: 'pem', ...cipher })
    refused({ ...own, key }, /tls.key is encrypted: pass its tls.passphrase/)
    refused({ ...own, key, passphrase: 'x' }, /can't be read with this tls.passphrase/)
    assert.deepEqual(
      check({ ...own, key, passphrase: 'open sesame' }).security,
      check(own).security,
    )
  })

  test("another certificate's key, and another CA's certificate", async () => {
    const other = await TestAuthority.create('another CA')
    const { cert, key } = await other.tls('a')
    refused({ ...own, key }, /tls.key is not the key of tls.cert, the certificate of 'CN=a'/)
    const pattern =
      /tls.cert does not lead to tls.ca: 'CN=a' was signed by CN=another CA, and .*'CN=test CA'/
    refused({ ca: own.ca, cert, key }, pattern)
    assert.equal(check({ ca: [own.ca, other.cert], cert, key }).security.kind, 'tls')
  })

  test('what has expired, or is not valid yet', async (t) => {
    const [old, expired] = await atDay(t, -20, async () => {
      const made = await TestAuthority.create('test CA', 30)
      return [made, await made.tls('a', [made], 5)] as const
    })
    const { kind: __, ...late } = expired
    refused(late, /tls.cert has expired: the certificate of 'CN=a' was good until 20\d\d-.*new one/)
    const { kind: ___, ...early } = await atDay(t, 5, () => old.tls('a', [old], 3))
    refused(early, /tls.cert is not valid yet: .* from 20.* on. Look at this machine's clock/)
    const { kind: ____, ...young } = await old.tls('a')
    await atDay(t, 15, async () => refused(young, /has expired/))
  })

  test('a certificate for one side of a connection only', async () => {
    const ca = await makeOdd({ name: 'odd CA', isAuthority: true })
    const uses = [CLIENT_AUTH]
    const one = await makeOdd({ name: 'a', by: ca, names: [{ type: 'dns', value: 'a' }], uses })
    refused({ ca: ca.cert, cert: one.cert, key: one.key }, /may not be used for serverAuth/)
    const any = await makeOdd({ name: 'a', by: ca, names: [{ type: 'dns', value: 'a' }] })
    assert.equal(check({ ca: ca.cert, cert: any.cert, key: any.key }).security.kind, 'tls')
  })

  test('a file that is read while it is written', async () => {
    const next = await TestAuthority.create('next CA')
    const both = `${own.ca}${next.cert}`
    const first = own.ca.length
    for (const end of [both.length - 5, first + 100, first + '-----BEGIN CERT'.length]) {
      refused({ ...own, ca: both.slice(0, end) }, /^tls.ca breaks off amid a certificate: read it/)
    }
    const chain = `${own.cert}${next.cert}`
    refused({ ...own, cert: chain.slice(0, -40) }, /^tls.cert breaks off/)
    refused({ ...own, cert: own.cert.slice(0, -40) }, /^tls.cert breaks off/)
    const commented = `the CA\n${own.ca}and no other\n`
    assert.equal(check({ ...own, ca: commented }).security.kind, 'tls')
    assert.equal(check({ ...own, cert: own.cert + own.key }).security.kind, 'tls')
  })

  test('a CA between: with the certificate, or trusted itself', async () => {
    const root = await makeOdd({ name: 'root', isAuthority: true })
    const between = await makeOdd({ name: 'between', by: root, isAuthority: true })
    const leaf = await makeOdd({ name: 'a', by: between, names: [{ type: 'dns', value: 'a' }] })
    const { key } = leaf
    const chain = `${leaf.cert}\n${between.cert}`
    assert.equal(check({ ca: root.cert, cert: chain, key }).security.kind, 'tls')
    assert.equal(check({ ca: between.cert, cert: leaf.cert, key }).security.kind, 'tls')
    refused(
      { ca: root.cert, cert: leaf.cert, key },
      /'CN=a' was signed by CN=between, and .*CN=root/,
    )
  })

  test('the node id must be a name of the certificate, before anything is made', async (t) => {
    const dataDir = temporaryDirectory(t)
    const named = openHere(t, { dataDir, nodeId: 'b', tls: own })
    await assert.rejects(named, (error: ColmenaError) => {
      assert.equal(error.code, 'ERR_INVALID_OPTION')
      assert.match(error.message, /tls.cert is for DNS:a, IP.*this node is 'b'.*colmena ca issue b/)
      return true
    })
    const madeUp = openHere(t, { dataDir, tls: own })
    await assert.rejects(madeUp, { message: /this node is 'node-.*pass the name .* as nodeId/ })
    assert.equal(existsSync(join(dataDir, 'identity.json')), false)
    const node = await openHere(t, { dataDir, nodeId: 'a', tls: own })
    await node.close()
    const again = openHere(t, { dataDir, tls: await tlsOf('b') })
    await assert.rejects(again, { message: /this node is 'a'/ })
    await (await openHere(t, { dataDir, tls: own })).close()
  })

  test('no name within a name counts', async (t) => {
    const ca = await makeOdd({ name: 'odd CA', isAuthority: true })
    const names = ['x, DNS:a, y', 'x", DNS:a', '*', 'A', 'a.'].map(
      (value) => ({ type: 'dns', value }) as const,
    )
    const odd = await makeOdd({ name: 'a', by: ca, names: [...names, { type: 'url', value: 'a' }] })
    const tls = { ca: ca.cert, cert: odd.cert, key: odd.key }
    await assert.rejects(openHere(t, { nodeId: 'a', tls }), { message: /this node is 'a'/ })
  })

  async function tlsOf(nodeId: string): Promise<TlsOptions> {
    const { kind: __, ...tls } = await authority.tls(nodeId)
    return tls
  }
})
