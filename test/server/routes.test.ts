/** What the server tells of its node. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findFreePorts } from '../processes/free-port.ts'
import { ask, assertFailure, openNode, pipelineOf, serve, waitFor } from './rig.ts'

describe('the server tells', () => {
  it('status, members and databases as the node does', async (t) => {
    const node = await openNode(t, { nodeId: 'one' })
    const { url } = await serve(t, node)
    await node.database('books').execute('CREATE TABLE t (a)')
    const status = await ask(url, '/status')
    assert.equal(status.body.nodeId, 'one')
    assert.equal(status.body.appliedIndex, (await node.status()).appliedIndex)
    assert.deepEqual((await ask(url, '/members')).body, await node.members())
    const { databases } = await node.status()
    assert.deepEqual((await ask(url, '/databases')).body, databases)
    assert.equal(databases[0]?.name, 'books')
    assert.equal(status.headers.get('cache-control'), 'no-store')
    assert.equal(status.headers.get('x-content-type-options'), 'nosniff')
  })

  it('that the node is well and ready, until it is closed', async (t) => {
    const node = await openNode(t)
    const { url } = await serve(t, node)
    assert.deepEqual((await ask(url, '/healthz')).body, { healthy: true })
    assert.deepEqual((await ask(url, '/readyz')).body, { ready: true, reason: null })
    await node.close()
    for (const path of ['/healthz', '/readyz', '/readyz?noleader', '/status', '/metrics']) {
      const answer = await ask(url, path)
      assertFailure(answer, 503, 'ERR_CLOSED')
      assert.equal(answer.headers.get('retry-after'), '1')
    }
  })

  it('what each metric is called in docs/server.md, with what it counts', async (t) => {
    const node = await openNode(t)
    const { url } = await serve(t, node)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    await db.execute('SELECT * FROM t', [], { consistency: 'none' })
    await assert.rejects(db.execute('INSERT INTO missing VALUES (1)'))
    const { headers, text } = await ask(url, '/metrics')
    assert.match(headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
    const { appliedIndex } = await node.status()
    for (const line of [
      'colmena_raft_state 2',
      `colmena_raft_applied_index ${appliedIndex}`,
      'colmena_raft_fsm_pending 0',
      'colmena_last_contact_ms 0',
      'colmena_reads_total{level="none"} 1',
      'colmena_writes_total{outcome="acknowledged"} 1',
      'colmena_writes_total{outcome="not-applied"} 1',
      'colmena_write_errors_total{code="ERR_SQL"} 1',
      'colmena_write_applied_seconds_bucket{le="+Inf"} 2',
      'colmena_write_applied_seconds_count 2',
      'colmena_read_seconds_count{level="none"} 1',
    ]) {
      assert.ok(text.includes(`\n${line}\n`), `${line} is not in:\n${text}`)
    }
    assert.match(text, /\n# TYPE colmena_log_sync_seconds histogram\n/)
    const bound = /colmena_log_sync_seconds_bucket\{le="([\d.e-]+)"\}/.exec(text)?.[1]
    assert.ok(Number(bound) < 0.001, `the first bucket ends at ${bound} s`)
  })

  it('of what there is not, that it is not there, and what there is', async (t) => {
    const { url } = await serve(t, await openNode(t))
    for (const path of ['/nothing', '/v3-protobuf', '/db/main', '/../etc/passwd', '/%2e%2e/x']) {
      assertFailure(await ask(url, path), 404, 'ERR_NOT_FOUND')
    }
    const wrong = await ask(url, '/status', { method: 'DELETE' })
    assertFailure(wrong, 405, 'ERR_INVALID_ARGUMENT')
    assert.equal(wrong.headers.get('allow'), 'GET')
    const both = await ask(url, '/v2/pipeline', { method: 'GET' })
    assertFailure(both, 405, 'ERR_INVALID_ARGUMENT')
    const unnamed = await ask(url, '/db/NO/v2/pipeline', { body: pipelineOf('SELECT 1') })
    assertFailure(unnamed, 400, 'ERR_INVALID_ARGUMENT')
  })
})

describe('a node without a leader', () => {
  it('says so with 503 and when to come back, and reads at level none', async (t) => {
    const ports = await findFreePorts(3)
    const bind = ports.map((port) => `127.0.0.1:${port}`)
    const fast = { heartbeatMs: 50, electionTimeoutMs: 300 }
    const [a, b, c] = await Promise.all(
      bind.map((address, at) =>
        openNode(t, {
          ...fast,
          bind: address,
          ...(at === 0 ? { bootstrap: true } : { join: bind }),
        }),
      ),
    )
    assert.ok(a && b && c)
    await waitFor('three voters', async () =>
      (await c.members()).every(({ role }) => role === 'voter'),
    )
    await c.database().execute('CREATE TABLE t (a)')
    const { url } = await serve(t, c)
    await Promise.all([a.close(), b.close()])

    const waiting = new Promise<void>((resolve) => {
      const look = (): void => {
        if (c.leader === null) resolve()
        else c.once('leader', look)
      }
      look()
    })
    await waiting
    const body = pipelineOf('SELECT count(*) FROM t')
    const refused = await ask(url, '/v2/pipeline', { body })
    assert.equal(refused.body.results[0].error.code, 'ERR_NO_LEADER')
    const weaker = { headers: { 'x-colmena-consistency': 'none' } }
    assert.equal((await ask(url, '/v2/pipeline', { body, ...weaker })).body.results[0].type, 'ok')
    const byQuery = await ask(url, '/db/main/v3/pipeline?consistency=none', { body })
    assert.equal(byQuery.body.results[0].type, 'ok')
    const misspelt = await ask(url, '/v2/pipeline?consistency=week', { body })
    assertFailure(misspelt, 400, 'ERR_INVALID_ARGUMENT')

    const notReady = await ask(url, '/readyz')
    assert.equal(notReady.status, 503)
    assert.equal(notReady.headers.get('retry-after'), '1')
    assert.match(notReady.body.reason, /leader/)
    assert.equal((await ask(url, '/readyz?noleader')).status, 200)
    const transfer = await ask(url, '/leadership', { body: {} })
    assertFailure(transfer, 503, 'ERR_NO_LEADER')
    assert.equal(transfer.body.error.retryable, true)
    assert.equal(transfer.headers.get('retry-after'), '1')
  })
})
