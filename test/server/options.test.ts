/** Options are checked before anything is touched, and docs/server.md knows them all. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { startBackup } from '../../src/backup/backup.ts'
import { createJobs, type Jobs } from '../../src/jobs/jobs.ts'
import { SERVER_OPTION_DEFAULTS } from '../../src/server/options.ts'
import {
  createHandler,
  createServer,
  type HandlerOptions,
  type ServerOptions,
} from '../../src/server/server.ts'
import { MemoryTarget } from '../backup/memory-target.ts'
import { readCodeSpans, readPage, readTables } from '../docs/pages.ts'
import { shareNode } from '../node/shared-node.ts'
import { ask, assertFailure, READ_TOKEN, serve, TOKENS, WRITE_TOKEN } from './rig.ts'

const wrong: readonly (readonly [object, RegExp])[] = [
  [{ tokns: TOKENS }, /unknown option 'tokns'.* tokens/],
  [{ tokens: {} }, /tokens must be/],
  [{ tokens: { [READ_TOKEN]: 'all' } }, /'all'; it must be one of read, write, admin/],
  [{ host: '' }, /host/],
  [{ host: 'db.example' }, /no tokens/],
  [{ port: 65_536 }, /port is 65536/],
  [{ port: '80' }, /port is '80'/],
  [{ tls: { key: 'k' } }, /tls must be/],
  [{ tls: { key: 'k', cert: 'c' } }, /no key and certificate that fit/],
  [{ tls: { key: 'k', cert: 'c', ca: 'a' } }, /unknown option 'ca'/],
  [{ origins: 'https://app.example' }, /origins must be a list/],
  [{ origins: ['https://app.example/'] }, /origins has/],
  [{ bodyBytesMax: 0 }, /bodyBytesMax is 0/],
  [{ bodyBytesMax: 1_000, bodiesBytesMax: 999 }, /room for one/],
  [{ headersTimeoutMs: 2, requestTimeoutMs: 1 }, /headersTimeoutMs 2/],
  [{ jobs: {} as Jobs }, /jobs must be what createJobs/],
  [{ logger: 'console' }, /logger/],
  [{ basePath: '/x' }, /unknown option 'basePath'/],
]

describe('createServer refuses', () => {
  it('what it does not know and what can not be', async () => {
    const node = (await shareNode()).node
    for (const [options, message] of wrong) {
      const given = { port: 0, ...options } as ServerOptions
      await assert.rejects(createServer(node, given), { code: 'ERR_INVALID_OPTION', message })
    }
  })

  it('tokens that can be guessed', async () => {
    const node = (await shareNode()).node
    const tokens = { 'fifteen-bytes-..': 'read', 'fifteen-bytes..': 'read' } as const
    await assert.rejects(createServer(node, { port: 0, tokens }), { code: 'ERR_WEAK_SECRET' })
  })

  it('a port that is taken', async (t) => {
    const node = (await shareNode()).node
    const { port } = await serve(t, node)
    await assert.rejects(createServer(node, { port }), {
      code: 'ERR_ADDRESS_IN_USE',
      message: new RegExp(`127\\.0\\.0\\.1:${port}`),
    })
  })
})

describe('createHandler refuses', () => {
  it('to decide by itself who may come in', async () => {
    const node = (await shareNode()).node
    assert.throws(() => createHandler(node, {} as HandlerOptions), {
      code: 'ERR_INVALID_OPTION',
      message: /authorize is missing/,
    })
    const authorize = (): 'read' => 'read'
    for (const basePath of ['x', '/a b', '/a?b', '//', 1 as unknown as string]) {
      assert.throws(() => createHandler(node, { authorize, basePath }), /basePath/)
    }
    for (const basePath of ['', '/', '/x', '/x/', '/x/y'])
      createHandler(node, { authorize, basePath })
  })
})

describe('docs/server.md', () => {
  const tables = readTables(readPage('docs/server.md'))

  /** The table that has `name` in its first column, without its other rows' decoration. */
  function tableWith(name: string): Map<string, string> {
    const isNamed = ([first = '']: readonly string[]): boolean => first.includes(`\`${name}\``)
    const rows = tables.find((table) => table.some(isNamed)) ?? []
    return new Map(
      rows.flatMap(([first = '', second = '']) => readCodeSpans(first).map((key) => [key, second])),
    )
  }

  it('has every option, with its default', () => {
    const documented = tableWith('bodyBytesMax')
    const names = Object.keys(SERVER_OPTION_DEFAULTS)
    assert.deepEqual([...documented.keys()].sort(), [...names].sort())
    for (const [name, value] of Object.entries(SERVER_OPTION_DEFAULTS)) {
      const [said] = readCodeSpans(documented.get(name) ?? '')
      assert.equal(said, value === undefined ? undefined : JSON.stringify(value), name)
    }
  })

  it('has every option of createHandler', async () => {
    const node = (await shareNode()).node
    const unknown = { authorize: () => null, nothing: true } as unknown as HandlerOptions
    let known: string[] = []
    assert.throws(
      () => createHandler(node, unknown),
      ({ message }: Error) => {
        known = message.split('known are ')[1]?.split(', ') ?? []
        return true
      },
    )
    const [, section = ''] = readPage('docs/server.md').split('`createHandler` has these of them:')
    const [list = ''] = section.split('. The others')
    const own = [...tableWith('basePath').keys()]
    assert.deepEqual([...readCodeSpans(list), ...own].sort(), known.sort())
  })

  it('has every metric', async (t) => {
    const node = (await shareNode()).node
    const targets = new MemoryTarget()
    const backup = startBackup(node, { targets, drills: { everyMs: 0 } })
    t.after(() => backup.close())
    const { url } = await serve(t, node, { jobs: createJobs(node, { workers: 0 }), backup })
    const { text } = await ask(url, '/metrics')
    const names = [...text.matchAll(/^# TYPE colmena_(\w+)/gm)].map(([, name]) => name)
    assert.ok(names.length > 30)
    assert.deepEqual([...tableWith('raft_state').keys()].sort(), names.sort())
  })

  it('has every route, with its right', async (t) => {
    const { url } = await serve(t, (await shareNode()).node, { tokens: TOKENS })
    const routes = tableWith('GET /healthz')
    assert.ok(routes.size > 15)
    for (const [route, right] of routes) {
      const [method = '', path = ''] = route.split(' ')
      if (path === '') continue
      const answer = await ask(url, path, { method })
      assert.equal(answer.status === 401, right !== '–', `${route}: ${answer.text}`)
      const [needed] = readCodeSpans(right)
      if (needed !== 'admin') continue
      assertFailure(await ask(url, path, { method, token: WRITE_TOKEN }), 403, 'ERR_FORBIDDEN')
    }
  })
})
