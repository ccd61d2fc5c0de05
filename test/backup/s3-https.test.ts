/** S3 over TLS, as it is but in tests. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import dns from 'node:dns'
import { describe, it, type TestContext } from 'node:test'
import tls from 'node:tls'
import { TestAuthority } from '../certificates/authority.ts'
import { failFirst, inPieces, namesIn, readAll, startServer, targetOf } from './s3-rig.ts'
import type { S3Server } from './s3-server.ts'

const CONTENT = randomBytes(18_000_000)

/** One whose certificate is of the host `node`, which is this machine. */
async function startSecure(
  t: TestContext,
): Promise<{ server: S3Server; endpoint: string; ca: string }> {
  const authority = await TestAuthority.create()
  const { cert, key } = await authority.tls('node')
  const server = await startServer(t, { tls: { cert, key } })
  const { lookup } = dns
  t.mock.method(dns, 'lookup', (_: string, ...rest: unknown[]) => {
    Reflect.apply(lookup, dns, ['localhost', ...rest])
  })
  return { server, endpoint: server.endpoint.replace('localhost', 'node'), ca: authority.cert }
}

function trust(t: TestContext, ca: string): void {
  const before = tls.getCACertificates('default')
  tls.setDefaultCACertificates([...before, ca])
  t.after(() => tls.setDefaultCACertificates(before))
}

describe('a target over TLS', () => {
  it('does what it does without', async (t) => {
    const { server, endpoint, ca } = await startSecure(t)
    trust(t, ca)
    const target = targetOf(t, server, { endpoint, stallMs: 1_000 })
    failFirst(server, 'PUT part', { kind: 'cut-upload', bytes: 5_000_000 }, { kind: 'stall' })
    await target.put('object', inPieces(CONTENT))
    failFirst(
      server,
      'GET',
      { kind: 'cut-body', bytes: 3_000_000 },
      { kind: 'stall-body', bytes: 9 },
    )
    assert.ok((await readAll(target, 'object')).equals(CONTENT))
    assert.deepEqual(await namesIn(target), ['object'])
  })

  it('speaks with nobody whom no authority vouches for', async (t) => {
    const { server, endpoint } = await startSecure(t)
    const target = targetOf(t, server, { endpoint })
    const failed = { code: 'ERR_TARGET', retryable: false, message: /NODE_EXTRA_CA_CERTS/ }
    await assert.rejects(target.put('object', CONTENT), failed)
    assert.equal(server.seen.length, 0)
  })

  it('speaks with nobody whose certificate is of another host', async (t) => {
    const { server, endpoint, ca } = await startSecure(t)
    trust(t, ca)
    const target = targetOf(t, server, { endpoint: endpoint.replace('node', 'another') })
    const failed = { code: 'ERR_TARGET', retryable: false, message: /altnames.*look at endpoint/ }
    await assert.rejects(target.put('object', CONTENT), failed)
    assert.equal(server.seen.length, 0)
  })
})
