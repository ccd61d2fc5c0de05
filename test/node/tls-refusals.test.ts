/** Certificates that are not good for a node: what its log says of each, whoever dialed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import tls from 'node:tls'
import { open } from '../../src/index.ts'
import { atDay, TestAuthority, type Tls } from '../certificates/authority.ts'
import { until } from '../processes/wait.ts'
import { createIdentity, openNode } from '../transport/cluster.ts'
import { helloBytes } from '../transport/raw-peer.ts'
import { temporaryDirectory } from './temporary.ts'

interface Case {
  readonly shown: Omit<Tls, 'kind' | 'ca'> | null
  readonly line: RegExp
}

async function makeCases(t: TestContext): Promise<readonly [TestAuthority, readonly Case[]]> {
  const [authority, expired] = await atDay(t, -20, async () => {
    const made = await TestAuthority.create('test CA', 3_650)
    return [made, await made.tls('node-2', [made], 5)] as const
  })
  const early = await atDay(t, 20, () => authority.tls('node-2'))
  const other = await (await TestAuthority.create('another CA')).tls('node-2')
  const date = '20\\d\\d-\\d\\d-\\d\\dT'
  const cases: readonly Case[] = [
    { shown: expired, line: RegExp(`certificate of CN=node-2 has expired, at ${date}`) },
    { shown: early, line: RegExp(`of CN=node-2 is not valid yet, but from ${date}.*clocks`) },
    { shown: other, line: /of CN=node-2 was signed by CN=another CA, which is none of the CAs/ },
    {
      shown: await authority.tls('node-3'),
      line: /node 'node-2' has shown a certificate for DNS:node-3/,
    },
  ]
  return [authority, cases]
}

test('who dials in: a line for each, by the code, with the address and the reason', async (t) => {
  const [authority, cases] = await makeCases(t)
  const { kind: _, ...own } = await authority.tls('node-1')
  const lines: string[] = []
  await using node = await open({
    ...{ nodeId: 'node-1', dataDir: temporaryDirectory(t), bind: '127.0.0.1:0', bootstrap: true },
    tls: own,
    logger: { warn: (message, details) => lines.push(`${Object(details).code} ${message}`) },
  })
  const none: Case = { shown: null, line: /no certificate was shown/ }
  for (const [at, { shown, line }] of [...cases, none].entries()) {
    // From an address of its own: an address has one line a minute.
    const from = `127.0.0.${10 + at}`
    const port = Number(node.address.split(':')[1])
    const where = { host: '127.0.0.1', port, localAddress: from, rejectUnauthorized: false }
    const socket = tls.connect({ ...where, ...(shown ?? {}), checkServerIdentity: () => undefined })
    socket.on('error', () => {})
    socket.resume()
    const closed = once(socket, 'close')
    await once(socket, 'secureConnect')
    socket.write(helloBytes('call', createIdentity(2, { clusterId: new Uint8Array(16) })))
    await closed
    await until('a line', () => lines.length > at)
    assert.match(lines[at] ?? '', line)
    assert.ok(lines[at]?.startsWith(`ERR_HANDSHAKE refused a connection from ${from}`), lines[at])
  }
})

test('who is dialed: a line for each, of the member and the reason', async (t) => {
  const [authority, cases] = await makeCases(t)
  const security = await authority.tls('node-1')
  for (const { shown, line } of cases) {
    const dialer = await openNode(t, { memberId: 1, security })
    const dialed = await openNode(t, {
      memberId: 2,
      security: { ...security, ...shown },
    })
    dialer.transport.setPeer(2, dialed.address)
    await until('a line', () => dialer.log.warnings.length > 0)
    assert.match(dialer.log.warnings[0]?.message ?? '', line)
    assert.match(
      dialer.log.warnings[0]?.message ?? '',
      /^no link to member 2: whoever answers at 127.0.0.1:\d+ is not trusted: /,
    )
    assert.equal(dialer.log.warnings[0]?.code, 'ERR_HANDSHAKE')
  }
})
