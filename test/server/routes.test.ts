/** What the server tells of its node. */
import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, it, type TestContext } from 'node:test'
import { createClient } from '@libsql/client/http'
import { temporaryDirectory } from '../node/temporary.ts'
import { findFreePorts } from '../processes/free-port.ts'
import {
  type Answer,
  ask,
  assertFailure,
  openNode,
  pipelineOf,
  READ_TOKEN,
  serve,
  TOKENS,
  waitFor,
} from './rig.ts'

/** A folder for temporary files that no other test's server shares; how many copies are in it. */
function countExportsIn(t: TestContext): () => number {
  const { TMPDIR: before = '' } = process.env
  const folder = temporaryDirectory(t)
  process.env['TMPDIR'] = folder
  t.after(() => {
    if (before === '') delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  })
  return () => readdirSync(folder).filter((name) => name.startsWith('colmena-export-')).length
}

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
    await waitFor('the node to be ready', async () => (await ask(url, '/readyz')).status === 200)
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
    const body = pipelineOf('SELECT * FROM t', 'SELECT * FROM missing')
    await ask(url, '/v2/pipeline?consistency=strong', { body })
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
      'colmena_reads_total{level="strong"} 2',
      'colmena_read_seconds_count{level="strong"} 1',
      'colmena_read_errors_total{code="ERR_SQL"} 1',
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

  it('of a database whose address lacks its slash, where the slash goes', async (t) => {
    const { url } = await serve(t, await openNode(t))
    for (const path of ['/db/v3', '/db/v2/pipeline', '/db/v3/cursor']) {
      const answer = await ask(url, path)
      assertFailure(answer, 404, 'ERR_NOT_FOUND')
      assert.match(answer.body.message, / ends in a slash: \/db\/<database>\/$/)
    }
    const client = createClient({ url: `${url}/db/books` })
    t.after(() => client.close())
    await assert.rejects(client.execute('SELECT 1'), { message: /ends in a slash/ })
  })
})

describe('the server exports', () => {
  it('a database as one file, and keeps nothing of it', async (t) => {
    const node = await openNode(t)
    const { url } = await serve(t, node)
    const db = node.database('books')
    await db.execute('CREATE TABLE t (a, b)')
    await db.execute(
      'WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) ' +
        'INSERT INTO t SELECT i, zeroblob(2000) FROM n',
    )
    const countExports = countExportsIn(t)
    const response = await fetch(`${url}/export/books`)
    assert.equal(response.headers.get('content-type'), 'application/vnd.sqlite3')
    const bytes = new Uint8Array(await response.arrayBuffer())
    assert.equal(response.headers.get('content-length'), String(bytes.length))
    const path = join(temporaryDirectory(t), 'books.db')
    writeFileSync(path, bytes)
    const copy = new DatabaseSync(path, { readOnly: true })
    const { n, sum } = copy.prepare('SELECT count(*) AS n, sum(a) AS sum FROM t').get() ?? {}
    assert.deepEqual([n, sum], [500, 125_250])
    const tables = copy.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    assert.deepEqual(
      tables.map(({ name }) => name),
      ['t'],
    )
    copy.close()
    await waitFor('the copy to go', () => countExports() === 0)
    assertFailure(await ask(url, '/export/nothing'), 404, 'ERR_NOT_FOUND')
    assertFailure(await ask(url, '/export/NO'), 400, 'ERR_INVALID_ARGUMENT')
  })

  it('no more than two at once, and lets go of those that nobody takes', async (t) => {
    const node = await openNode(t)
    const { url } = await serve(t, node)
    const db = node.database()
    await db.execute('CREATE TABLE t (a)')
    // More than the kernel takes in without a reader.
    for (let i = 0; i < 8; i += 1) await db.execute('INSERT INTO t VALUES (zeroblob(3000000))')
    const countExports = countExportsIn(t)
    const taking = await Promise.all([fetch(`${url}/export/main`), fetch(`${url}/export/main`)])
    assert.deepEqual(
      taking.map(({ status }) => status),
      [200, 200],
    )
    const third = await ask(url, '/export/main')
    assertFailure(third, 503, 'ERR_BUSY')
    for (const { body } of taking) await body?.cancel()
    await waitFor('their copies to go', () => countExports() === 0)
    assert.equal((await ask(url, '/export/main', { method: 'HEAD' })).status, 200)
    await waitFor('room', async () => (await ask(url, '/export/main')).status === 200)
    await waitFor('the last to go', () => countExports() === 0)
  })
})

describe('a node without a leader', () => {
  it('says so with 503 and when to come back, and reads at level none', async (t) => {
    const ports = await findFreePorts(3)
    const bind = ports.map((port) => `127.0.0.1:${port}`)
    const fast = { heartbeatMs: 50, electionTimeoutMs: 300, requestTimeoutMs: 3_000 }
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
    const young = { 'x-colmena-max-staleness-ms': '0' }
    const stale = await ask(url, '/v2/pipeline', { body, headers: young })
    assert.equal(stale.body.results[0].error.code, 'ERR_STALE')
    const early = await ask(url, `/v2/pipeline?consistency=none&after=${10 ** 9}`, { body })
    assert.equal(early.body.results[0].error.code, 'ERR_TIMEOUT')
    for (const bad of ['maxStalenessMs=-1', 'after=soon']) {
      assertFailure(await ask(url, `/v2/pipeline?${bad}`, { body }), 400, 'ERR_INVALID_ARGUMENT')
    }
    const misspelt = await ask(url, '/v2/pipeline?consistency=week', { body })
    assertFailure(misspelt, 400, 'ERR_INVALID_ARGUMENT')
    const unclear = await ask(url, '/v2/pipeline?foreignKeyCheck=off', { body })
    assertFailure(unclear, 400, 'ERR_INVALID_ARGUMENT')

    const notReady = await ask(url, '/readyz')
    assert.equal(notReady.status, 503)
    assert.equal(notReady.headers.get('retry-after'), '1')
    assert.match(notReady.body.reason, /leader/)
    assert.equal((await ask(url, '/readyz?noleader')).status, 200)
    const guarded = await serve(t, c, { tokens: TOKENS })
    const told = await ask(guarded.url, '/readyz', { token: READ_TOKEN })
    assert.match(told.body.reason, /leader/)
    for (const token of [undefined, `${READ_TOKEN}x`]) {
      const untold = await ask(guarded.url, '/readyz', token === undefined ? {} : { token })
      assert.equal(untold.status, 503)
      assert.match(untold.body.reason, /^whoever may read is told why/)
    }
    const transfer = await ask(url, '/leadership', { body: {} })
    assertFailure(transfer, 503, 'ERR_NO_LEADER')
    assert.equal(transfer.body.error.retryable, true)
    assert.equal(transfer.headers.get('retry-after'), '1')
  })
})

function toRoles({ body, text }: Answer): string[] {
  assert.ok(Array.isArray(body), text)
  return body.map(({ nodeId, role }) => `${nodeId} ${role}`).sort()
}

describe('an operator', () => {
  it('demotes, promotes and removes members, and moves leadership, from any node', async (t) => {
    const bind = (await findFreePorts(3)).map((port) => `127.0.0.1:${port}`)
    const [a, b, c] = await Promise.all(
      ['a', 'b', 'c'].map((nodeId, at) => {
        const beginning = at === 0 ? { bootstrap: true } : { join: bind }
        return openNode(t, { nodeId, bind: bind[at], ...beginning })
      }),
    )
    assert.ok(a && b && c)
    await waitFor('three voters', async () =>
      (await b.members()).every(({ role }) => role === 'voter'),
    )
    const { url } = await serve(t, b)
    const moved = await ask(url, '/leadership', { body: { nodeId: 'b' } })
    assert.equal(moved.status, 200, moved.text)
    await waitFor('b to lead, and to hear the others', async () => {
      const contacts = (await b.members()).map(({ lastContactMs }) => lastContactMs ?? 10_000)
      return b.isLeader && Math.max(...contacts) < 300
    })
    // One change at a time: while another one settles, the answer is to come back.
    const operate = async (method: string, path: string): Promise<string[]> => {
      let answer = await ask(url, path, { method })
      await waitFor(path, async () => {
        if (answer.status === 503) answer = await ask(url, path, { method })
        return answer.status !== 503
      })
      assert.equal(answer.status, 200, answer.text)
      return toRoles(answer)
    }
    assert.ok((await operate('POST', '/members/c/demote')).includes('c learner'))
    await operate('POST', '/members/c/promote')
    // It is agreed on; it comes about once the member has caught up.
    await waitFor('c to vote', async () => toRoles(await ask(url, '/members')).includes('c voter'))
    assert.deepEqual(await operate('DELETE', '/members/c'), ['a voter', 'b voter'])
    const unknown = await ask(url, '/members/nobody/promote', { method: 'POST' })
    assertFailure(unknown, 400, 'ERR_INVALID_ARGUMENT')
  })
})
