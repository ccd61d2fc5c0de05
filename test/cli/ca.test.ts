import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { authorityFingerprint } from '../../src/certificates/certificates.ts'
import { runCaInit, runCaIssue } from '../../src/cli/ca.ts'
import { checkOpenOptions } from '../../src/node/config.ts'
import { makeDirectory, run } from './command.ts'

const DAY_MS = 86_400_000

function dayIn(days: number): string {
  return new Date(Date.now() + days * DAY_MS).toISOString().slice(0, 10)
}

describe('ca', () => {
  it('makes a CA and certificates of nodes, and says what to do with them', async (t) => {
    const cwd = makeDirectory(t)
    const read = (path: string): string => readFileSync(join(cwd, path), 'utf8')
    const init = await run(['ca', 'init', '--out', 'ca', '--name', 'shop', '--days', '99'], { cwd })
    assert.deepEqual([init.code, init.err], [0, ''])
    const ca = read('ca/ca.pem')
    assert.ok(init.out.includes(`ca/ca.pem  the certificate of the CA, valid until ${dayIn(99)}`))
    assert.ok(init.out.includes(Buffer.from(authorityFingerprint(ca)).toString('hex')))
    assert.match(init.out, /colmena ca issue NODE_ID --ca ca\n$/)
    const issue = ['ca', 'issue', 'n-1', '--ca', 'ca', '--out', 'made']
    const addresses = ['--address', '10.0.0.1', 'db.example', '--address', 'fd00::1']
    const issued = await run([...issue, ...addresses], { cwd })
    assert.deepEqual([issued.code, issued.err], [0, ''])
    assert.ok(issued.out.includes(`of node n-1, valid until ${dayIn(99)}, as the CA`))
    assert.match(issued.out, /--tls-ca ca\/ca.pem --tls-cert made\/n-1.pem --tls-key made\/n-1-key/)
    const tls = { ca, cert: read('made/n-1.pem'), key: read('made/n-1-key.pem') }
    assert.equal(checkOpenOptions({ dataDir: '.', bind: '10.0.0.1:1', tls }).security.kind, 'tls')
    const names = new X509Certificate(tls.cert).subjectAltName ?? ''
    assert.match(names, /^DNS:n-1, IP Address:10.0.0.1, DNS:db.example, IP Address:FD00/)
    for (const path of ['ca/ca-key.pem', 'made/n-1-key.pem']) {
      assert.equal(statSync(join(cwd, path)).mode & 0o777, 0o600, path)
    }
  })

  it('replaces nothing that it was not told to', async (t) => {
    const cwd = makeDirectory(t)
    await run(['ca', 'init'], { cwd })
    await run(['ca', 'issue', 'a'], { cwd })
    const files = readdirSync(cwd).sort()
    assert.deepEqual(files, ['a-key.pem', 'a.pem', 'ca-key.pem', 'ca.pem'])
    const read = (): string[] => files.map((name) => readFileSync(join(cwd, name), 'utf8'))
    const before = read()
    const options = { ca: cwd, out: cwd, days: '9' }
    const issue = (nodeId: string, more: object = {}) => runCaIssue(nodeId, { ...options, ...more })
    const wrong: readonly (readonly [() => Promise<void>, 1 | 2, RegExp])[] = [
      [() => runCaInit({ ...options, name: 'x' }), 1, /there is a file .*ca.pem already: --force/],
      [() => issue('a'), 1, /there is a file .*a.pem already: --force/],
      [() => issue('ca', { force: true }), 2, /are the CA's: give another --out/],
      [() => issue('a b'), 2, /nodeId is 'a b'/],
      [() => issue('../a'), 2, /nodeId is '..\/a'/],
      [() => issue('b', { days: '0' }), 2, /--days is '0'/],
      [() => issue('b', { ca: join(cwd, 'no') }), 1, /no\/ca.pem can't be read.*ca init/],
      [() => runCaInit({ out: join(cwd, 'x'), days: '9', name: 'a,b' }), 2, /--name is 'a,b'/],
    ]
    for (const [attempt, exitCode, message] of wrong) {
      await assert.rejects(attempt, { exitCode, message })
    }
    assert.deepEqual(read(), before)
    assert.deepEqual(readdirSync(cwd).sort(), files)
    const forced = await run(['ca', 'issue', 'a', '--force'], { cwd })
    assert.equal(forced.code, 0)
    const [key, cert] = read() as [string, string]
    assert.notEqual(cert, before[1])
    assert.ok(new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
  })

  it('keeps what was there where the disk takes nothing', async (t) => {
    const cwd = makeDirectory(t)
    await run(['ca', 'init'], { cwd })
    await run(['ca', 'issue', 'a'], { cwd })
    const read = (): unknown[] =>
      readdirSync(cwd).map((name) => [name, readFileSync(join(cwd, name), 'utf8')])
    const before = read()
    const through = ['bash', '-c', 'ulimit -f 0; exec "$@"', 'bash']
    for (const command of [['init'], ['issue', 'a']]) {
      const { code, err } = await run(['ca', ...command, '--force'], { cwd, through })
      assert.equal(code, 1)
      assert.match(err, /key\.pem can't be written: /)
      assert.deepEqual(read(), before)
    }
  })
})
