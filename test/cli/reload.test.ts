/** `serve` and SIGHUP: what its files hold by then takes the place of what they held. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import tls from 'node:tls'
import type { TransportSecurity } from '../../src/transport/transport.ts'
import { TestAuthority, type Tls } from '../certificates/authority.ts'
import { until } from '../processes/wait.ts'
import { codeOf, openNode } from '../transport/cluster.ts'
import { makeDirectory, type Running, serve } from './command.ts'

const OLD = 'an old secret of more than sixteen bytes'
const NEW = 'a new secret of more than sixteen bytes'
const NETWORK = ['--node-id', 'ann', '--bind', '127.0.0.1:0', '--bootstrap']

function addressOf({ out }: Running): string {
  return /--join (\S+)/.exec(out)?.[1] ?? assert.fail(`no address in ${out}`)
}

/** Sends the signal, and waits for what the process says of it. */
async function reload(running: Running, said: RegExp): Promise<void> {
  const [outBefore, errBefore] = [running.out.length, running.err.length]
  running.kill('SIGHUP')
  await until(`it says ${said}`, () =>
    said.test(running.out.slice(outBefore) + running.err.slice(errBefore)),
  )
}

/** Whether a node that has this is let in. */
async function letsIn(
  t: TestContext,
  running: Running,
  security: TransportSecurity,
): Promise<boolean> {
  const peer = await openNode(t, { memberId: 9, security })
  const { error } = await peer.call(addressOf(running), 1, 'x')
  return codeOf(error) !== 'ERR_HANDSHAKE'
}

function issuerShown(url: string): Promise<string> {
  const { hostname: host, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ host, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().issuer.CN))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

it('takes certificates of the node and of HTTPS from their files again', async (t) => {
  const [old, renewed] = [
    await TestAuthority.create('old CA'),
    await TestAuthority.create('new CA'),
  ]
  const directory = makeDirectory(t)
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => join(directory, `${name}.pem`)) as [
    string,
    string,
    string,
  ]
  const write = (files: Tls): void => {
    for (const [path, content] of [
      [ca, files.ca],
      [cert, files.cert],
      [key, files.key],
    ] as const) {
      writeFileSync(path, content)
    }
  }
  write(await old.tls('ann'))
  const own = ['--tls-ca', ca, '--tls-cert', cert, '--tls-key', key]
  const https = ['--http-cert', cert, '--http-key', key]
  const { running, url } = await serve(t, [...NETWORK, ...own, ...https])
  assert.ok(await letsIn(t, running, await old.tls('node-9')))
  assert.equal(await issuerShown(url), 'old CA')

  write(await renewed.tls('ann'))
  await reload(running, /reloaded this node's certificate\nreloaded the certificate of HTTPS\n/)
  assert.ok(await letsIn(t, running, await renewed.tls('node-9')))
  assert.equal(await letsIn(t, running, await old.tls('node-9', [old, renewed])), false)
  await until('a line in its log', () =>
    /^ERR_HANDSHAKE: refused .* CN=node-9 was signed by CN=old CA/m.test(running.err),
  )
  assert.equal(await issuerShown(url), 'new CA')

  writeFileSync(cert, (await renewed.tls('bob')).cert)
  await reload(
    running,
    /this node's certificate stays as it was: the file of --tls-key is not the key of the file of/,
  )
  await until('HTTPS too', () => /HTTPS stays as it was: --http-cert and/.test(running.err))
  writeFileSync(key, 'no key')
  await reload(running, /stays as it was: the file of --tls-key is no PEM\n/)
  assert.ok(await letsIn(t, running, await renewed.tls('node-9')))
  assert.equal(await issuerShown(url), 'new CA')
  running.kill('SIGTERM')
  assert.equal((await running.ended).code, 0)
})

it('takes secrets from their file again, one on each line', async (t) => {
  const file = join(makeDirectory(t), 'secret')
  writeFileSync(file, `${OLD}\n`)
  const { running } = await serve(t, [...NETWORK, '--secret-file', file])
  const isLetIn = (secret: string): Promise<boolean> =>
    letsIn(t, running, { kind: 'psk', secrets: [secret] })
  assert.deepEqual([await isLetIn(OLD), await isLetIn(NEW)], [true, false])
  writeFileSync(file, `${NEW}\n${OLD}\n`)
  await reload(running, /reloaded the secret\n/)
  assert.deepEqual([await isLetIn(OLD), await isLetIn(NEW)], [true, true])
  writeFileSync(file, NEW)
  await reload(running, /reloaded the secret\n/)
  assert.deepEqual([await isLetIn(OLD), await isLetIn(NEW)], [false, true])
  writeFileSync(file, 'short')
  await reload(running, /the secret stays as it was: a secret of 5 bytes/)
  assert.ok(await isLetIn(NEW))
})

it('goes on where there is nothing to read again', async (t) => {
  const { running, url } = await serve(t)
  await reload(running, /there is nothing to reload\n/)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
})
