import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { readServeConfig } from '../../src/cli/serve-settings.ts'
import { until } from '../processes/wait.ts'
import { type Ended, makeDirectory, Running, type RunOptions, run, serve } from './command.ts'

const ENDLESS =
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c'

/** The first process of a space of its own; needs the right to make one. */
const AS_PROCESS_ONE = ['unshare', '--user', '--map-root-user', '--pid', '--fork', '--kill-child']

function canBeFirst(): boolean {
  const [file, ...args] = AS_PROCESS_ONE as [string, ...string[]]
  return spawnSync(file, [...args, 'true']).status === 0
}

/** unshare waits, and hands no signal on. */
function tell({ child }: Running, signal: NodeJS.Signals, through: readonly string[]): void {
  if (through.length === 0) {
    child.kill(signal)
    return
  }
  const inside = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
  process.kill(Number(inside.trim().split(' ')[0]), signal)
}

/** A node that applies a write which never ends. */
async function serveEndless(
  t: TestContext,
  options?: RunOptions,
): Promise<{ readonly running: Running; readonly writing: Promise<Ended> }> {
  const { running, url } = await serve(t, [], options)
  await run(['exec', 'CREATE TABLE t (a)', '--url', url])
  const writing = run(['exec', `INSERT INTO t ${ENDLESS}`, '--url', url])
  await until('the write is being applied', async () => {
    const status = (await (await fetch(`${url}/status`)).json()) as { lagEntries: number }
    return status.lagEntries > 0
  })
  return { running, writing }
}

describe('serve', () => {
  it('says on one screen what it did, and leaves at a signal with 0', async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const { running, url, dataDir } = await serve(t, ['--node-id', 'ann'])
      assert.ok(running.out.split('\n').length < 24)
      assert.match(running.out, /node ann is open/)
      assert.ok(running.out.includes(dataDir) && existsSync(dataDir))
      assert.equal((await fetch(`${url}/healthz`)).status, 200)
      running.kill(signal)
      const { code, err } = await running.ended
      assert.deepEqual({ code, err }, { code: 0, err: '' })
    }
  })

  it('leaves in time also while a client asks without end', async (t) => {
    const { running, url } = await serve(t, ['--statement-timeout-ms', '60000'])
    const asking = run(['exec', ENDLESS, '--url', url])
    // Another one that is answered meanwhile came after it.
    assert.equal((await run(['exec', 'SELECT 1', '--url', url])).code, 0)
    running.kill('SIGTERM')
    assert.equal((await running.ended).code, 0)
    assert.equal((await asking).code, 1)
  })

  it('leaves with 0 also amid a statement that nothing can end', async (t) => {
    const { running } = await serveEndless(t)
    running.kill('SIGTERM')
    assert.equal((await running.ended).code, 0)
  })

  it('ends at once at the second signal, also amid a statement that nothing can end', async (t) => {
    const { running, writing } = await serveEndless(t)
    running.kill('SIGTERM')
    await until('it heard the first', () => running.out.includes('leaving'))
    running.kill('SIGTERM')
    assert.equal((await running.ended).code, 130)
    assert.equal((await writing).code, 1)
  })

  it('obeys both signals as process 1 of a container', async (t) => {
    const through = canBeFirst() ? AS_PROCESS_ONE : []
    if (through.length === 0) t.diagnostic('no process can be the first of a space of its own here')
    const clean = await serve(t, [], { through })
    tell(clean.running, 'SIGTERM', through)
    assert.deepEqual(await clean.running.ended.then(({ code, err }) => [code, err]), [0, ''])
    const { running } = await serveEndless(t, { through })
    tell(running, 'SIGTERM', through)
    await until('it heard the first', () => running.out.includes('leaving'))
    tell(running, 'SIGINT', through)
    assert.equal((await running.ended).code, 130)
  })

  it('gives up a start at a signal', async (t) => {
    // Nobody answers at that address, so the start takes as long as its deadline.
    const dataDir = join(makeDirectory(t), 'data')
    const args = ['--bind', '127.0.0.1:0', '--join', '127.0.0.1:1']
    const running = new Running(['serve', '--data-dir', dataDir, ...args])
    await until('it says what for', () => running.err.includes("can't join through 127.0.0.1:1"))
    running.kill('SIGINT')
    const { code, out } = await running.ended
    assert.deepEqual([code, out], [0, ''])
  })

  it('says what it can not do in one sentence, with the code for whose fault it is', async (t) => {
    const { url, dataDir } = await serve(t)
    const port = new URL(url).port
    const file = join(makeDirectory(t), 'config.json')
    writeFileSync(file, '{ "dataDri": "x" }')
    const own = ['--data-dir', join(makeDirectory(t), 'data')]
    const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
      [['--data-dir', dataDir], 1, /in use|another process/],
      [[...own, '--http-port', port], 1, /another program listens there/],
      [[...own, '--http-port', '99999'], 2, /--http-port is '99999'/],
      [[...own, '--slow-ms', 'soon'], 2, /--slow-ms is 'soon'; it must be a whole number/],
      [[...own, '--http-host', '0.0.0.0', '--http-port', '0'], 2, /token/],
      [[...own, '--read-token', 'short', '--http-port', '0'], 2, /16/],
      [
        [...own, '--bind', '10.0.0.1:0', '--bootstrap'],
        2,
        /^--bind '10.*: pass --secret-file .* or --tls-ca, --tls-cert and .* --insecure$/m,
      ],
      [[...own, '--bind', '0.0.0.0:0', '--insecure'], 2, /pass --advertise host:port/],
      [[...own, '--join', '127.0.0.1:1'], 2, /pass --bind host:port to listen on/],
      [[...own, '--secret-file', '/dev/null'], 2, /^\/dev\/null holds no secret/],
      [[...own, '--election-timeout-ms', '9'], 2, /too long for --election-timeout-ms 9/],
      [['--data-dir', file], 1, /config\.json is a file: dataDir is a directory/],
      [[...own, '--secret-file', '/nowhere/secret'], 2, /secret file can't be read/],
      [[...own, '--tls-key', 'k'], 2, /--tls-ca, --tls-cert, --tls-key go together/],
      [[...own, '--http-key', 'k'], 2, /--http-cert, --http-key go together/],
      [['--config', file], 2, /unknown key 'dataDri'/],
      [
        ['--data-dir', join(own[1] as string, 'new'), '--bind', '127.0.0.1:0'],
        2,
        /pass --bootstrap to begin one, or --join host:port/,
      ],
      [[...own, '--join-as', 'leader'], 2, /^--join-as is 'leader'/],
      [[...own, '--durability', 'none'], 2, /^--durability is 'none'/],
      [[...own, '--accept-loss', 'yes'], 2, /^--accept-loss is 'yes'/],
      [['--nonsense'], 2, /unknown option '--nonsense'/],
    ]
    for (const [args, code, message] of cases) {
      const ended = await run(['serve', ...args])
      assert.equal(ended.code, code, `${args.join(' ')}: ${ended.err}`)
      assert.match(ended.err, message)
      assert.doesNotMatch(ended.err, /\n\s+at /, 'no stack')
    }
  })
})

describe('settings of serve', () => {
  it('are taken from flags, then the environment, then the file', (t) => {
    const file = join(makeDirectory(t), 'config.json')
    writeFileSync(file, JSON.stringify({ nodeId: 'file', slowMs: 5, httpPort: 1, insecure: true }))
    const env = { COLMENA_NODE_ID: 'env', COLMENA_SLOW_MS: '6', COLMENA_JOIN: 'a:1, b:2' }
    const { open, server } = readServeConfig({ config: file, nodeId: 'flag' }, env)
    assert.equal(open.nodeId, 'flag')
    assert.equal(open.slowMs, 6)
    assert.deepEqual(open.join, ['a:1', 'b:2'])
    assert.equal(open.insecure, true)
    assert.equal(open.dataDir, './data')
    assert.equal(server.port, 1)
    assert.equal('readToken' in open || 'httpPort' in open, false)
  })

  it('name extensions with their versions and paths', () => {
    const extensions = ['vec@0.1.9=/lib/vec0.so', 'geo@2=./geo=1.so']
    assert.deepEqual(readServeConfig({ extensions }, {}).open.extensions, [
      { name: 'vec', version: '0.1.9', path: '/lib/vec0.so' },
      { name: 'geo', version: '2', path: './geo=1.so' },
    ])
    for (const wrong of ['vec0.so', 'vec=./vec0.so', 'vec@1', '@1=./vec0.so']) {
      assert.throws(() => readServeConfig({ extensions: [wrong] }, {}), /name@version=path/)
    }
  })

  it('give tokens their rights, and read what files hold', (t) => {
    const directory = makeDirectory(t)
    const path = (name: string): string => join(directory, name)
    for (const name of ['secret', 'ca', 'cert', 'key', 'http-cert', 'http-key']) {
      writeFileSync(path(name), `${name}\n`)
    }
    writeFileSync(path('secrets'), ' newest\n\nolder\r\n')
    const { open, server } = readServeConfig(
      {
        secretFile: path('secret'),
        tlsCa: path('ca'),
        tlsCert: path('cert'),
        tlsKey: path('key'),
        httpKey: path('http-key'),
        httpCert: path('http-cert'),
        readToken: ['r'.repeat(16)],
        adminToken: ['a'.repeat(16), 'b'.repeat(16)],
      },
      {},
    )
    assert.equal(open.secret, 'secret')
    assert.deepEqual(readServeConfig({ secretFile: path('secrets') }, {}).open.secret, [
      'newest',
      'older',
    ])
    assert.deepEqual(open.tls, { ca: 'ca\n', cert: 'cert\n', key: 'key\n' })
    assert.equal('tlsCa' in open || 'httpKey' in open || 'secretFile' in open, false)
    assert.deepEqual(server.tls, { cert: 'http-cert\n', key: 'http-key\n' })
    assert.deepEqual(server.tokens, {
      ['r'.repeat(16)]: 'read',
      ['a'.repeat(16)]: 'admin',
      ['b'.repeat(16)]: 'admin',
    })
  })
})
