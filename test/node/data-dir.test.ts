import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ErrorCode } from '../../src/base/errors.ts'
import { checkOpenOptions, type OpenConfig } from '../../src/node/config.ts'
import { openDataDir } from '../../src/node/data-dir.ts'
import { type Identity, readIdentity, uncleanStopOf } from '../../src/node/identity.ts'
import type { OpenOptions } from '../../src/node/options.ts'
import { wipe } from '../../src/node/wiping.ts'
import { temporaryDirectory } from './temporary.ts'

function configOf(dataDir: string, more: Partial<OpenOptions> = {}): OpenConfig {
  return checkOpenOptions({ dataDir, ...more })
}

function refused(config: OpenConfig, code: ErrorCode, pattern: RegExp): void {
  assert.throws(() => openDataDir(config).close(), { code, message: pattern })
}

/** A directory as a first open leaves it. */
function establish(t: TestContext): { path: string; identity: Identity } {
  const path = temporaryDirectory(t)
  const dataDir = openDataDir(configOf(path))
  mkdirSync(join(path, 'log'))
  mkdirSync(join(path, 'db'))
  dataDir.keep({ state: 'established' })
  dataDir.close()
  return { path, identity: dataDir.identity }
}

function rewrite(path: string, change: (identity: Record<string, unknown>) => void): void {
  const file = join(path, 'identity.json')
  const identity = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>
  change(identity)
  writeFileSync(file, JSON.stringify(identity))
}

suite('identity', () => {
  test('a new directory gets ids of its own', (t) => {
    const path = join(temporaryDirectory(t), 'deep', 'down')
    const dataDir = openDataDir(configOf(path))
    const { identity } = dataDir
    dataDir.close()
    assert.match(identity.clusterId, /^[0-9a-f]{32}$/)
    assert.match(identity.nodeId, /^node-[0-9a-f]{12}$/)
    assert.ok(identity.memberId > 0 && identity.memberId < 2 ** 48)
    assert.equal(identity.incarnation, 1)
    assert.equal(identity.state, 'new')
    assert.deepEqual(readIdentity(path), identity)
    assert.ok(!existsSync(join(path, 'identity.json.tmp')))
  })

  test('an established one is kept, and counts its opens', (t) => {
    const { path, identity } = establish(t)
    const again = openDataDir(configOf(path, { bind: '127.0.0.1:1', join: '127.0.0.1:2' }))
    again.close()
    assert.deepEqual(again.identity, { ...identity, incarnation: 2 })
    assert.equal(readIdentity(path)?.incarnation, 2)
  })

  test('one that promised votes says so for good, and for the longest', (t) => {
    const { path } = establish(t)
    const opened = (more: Partial<OpenOptions>): number | undefined => {
      const dataDir = openDataDir(configOf(path, more))
      dataDir.close()
      assert.deepEqual(readIdentity(path), dataDir.identity)
      return dataDir.identity.votePromiseMs
    }
    assert.equal(opened({ electionTimeoutMs: 5_000 }), undefined)
    assert.equal(opened({ strongReads: 'lease', electionTimeoutMs: 2_000 }), 2_000)
    assert.equal(opened({ strongReads: 'lease' }), 2_000)
    assert.equal(opened({}), 2_000)
  })

  test('one that a crash left unfinished begins again, as another member', (t) => {
    const path = temporaryDirectory(t)
    const first = openDataDir(configOf(path, { nodeId: 'a' }))
    mkdirSync(join(path, 'log'))
    mkdirSync(join(path, 'db', '1'), { recursive: true })
    writeFileSync(join(path, 'db', '1', 'system.db'), 'half a file')
    first.close()
    const second = openDataDir(configOf(path))
    second.close()
    assert.ok(!existsSync(join(path, 'log')) && !existsSync(join(path, 'db')))
    assert.equal(second.identity.nodeId, 'a')
    assert.notEqual(second.identity.memberId, first.identity.memberId)
    assert.notEqual(second.identity.clusterId, first.identity.clusterId)
    assert.equal(second.identity.incarnation, 2)
  })

  test('one that was never finished takes the name that it is opened under', (t) => {
    const path = temporaryDirectory(t)
    openDataDir(configOf(path)).close()
    const second = openDataDir(configOf(path, { nodeId: 'a' }))
    second.close()
    assert.equal(second.identity.nodeId, 'a')
  })

  test('a joiner has no cluster until it finds one', (t) => {
    const path = temporaryDirectory(t)
    const config = configOf(path, { bind: '127.0.0.1:1', join: '127.0.0.1:2' })
    const dataDir = openDataDir(config)
    assert.equal(dataDir.identity.clusterId, '')
    dataDir.keep({ clusterId: 'ab'.repeat(16) })
    dataDir.close()
    assert.equal(readIdentity(path)?.clusterId, 'ab'.repeat(16))
  })

  test('a network node must be told how its cluster begins', (t) => {
    const path = temporaryDirectory(t)
    const config = configOf(path, { bind: '127.0.0.1:1' })
    refused(config, 'ERR_INVALID_OPTION', /bootstrap: true .* join: \['host:port'\]/)
  })

  test('another node id than the kept one', (t) => {
    const { path, identity } = establish(t)
    const pattern = new RegExp(`nodeId is 'other', but .* node '${identity.nodeId}'`)
    refused(configOf(path, { nodeId: 'other' }), 'ERR_INVALID_OPTION', pattern)
  })

  for (const folder of ['log', 'db']) {
    test(`an established directory without its ${folder}`, (t) => {
      const { path } = establish(t)
      rmSync(join(path, folder), { recursive: true })
      refused(configOf(path), 'ERR_DATA_DIR', new RegExp(`its ${folder} folder is missing`))
    })
  }

  test('one in a folder that takes none, at once', { timeout: 10_000 }, () => {
    refused(configOf('/proc/colmena/a'), 'ERR_DATA_DIR', /can't make or enter \/proc\/colmena\/a/)
  })

  test('data without an identity', (t) => {
    const path = temporaryDirectory(t)
    mkdirSync(join(path, 'db'))
    refused(configOf(path), 'ERR_DATA_DIR', /a db folder but no identity.json/)
    assert.ok(existsSync(join(path, 'db')))
  })

  test('one that a crash left on its way to a new member never begins another cluster', (t) => {
    const { path, identity } = establish(t)
    const first = openDataDir(configOf(path))
    first.replace(configOf(path), 77, ['127.0.0.1:9'])
    first.close()
    assert.ok(!existsSync(join(path, 'log')) && !existsSync(join(path, 'db')))
    const bootstrap = { bind: '127.0.0.1:1', bootstrap: true }
    const again = openDataDir(configOf(path, bootstrap))
    again.close()
    const { genesis, clusterId, memberId, state, rejoinAddresses } = again.identity
    assert.deepEqual([genesis, state], ['join', 'new'])
    assert.equal(clusterId, identity.clusterId)
    assert.ok(memberId !== 77 && memberId !== identity.memberId)
    assert.deepEqual(rejoinAddresses, ['127.0.0.1:9'])
  })

  test('a relaxed open that was not closed is told, until its own token is passed', (t) => {
    const { path } = establish(t)
    const relaxed = { durability: 'relaxed' } as const
    const first = openDataDir(configOf(path, relaxed))
    assert.equal(uncleanStopOf(first.identity), null)
    first.close()
    const second = openDataDir(configOf(path))
    const stop = uncleanStopOf(second.identity)
    second.close()
    assert.ok(stop !== null)
    const third = openDataDir(configOf(path, { ...relaxed, acceptLoss: '0123456789ab-1' }))
    assert.deepEqual(uncleanStopOf(third.identity), stop, 'the same one, whoever asks again')
    third.close()
    const fourth = openDataDir(configOf(path, { ...relaxed, acceptLoss: stop.token }))
    assert.equal(uncleanStopOf(fourth.identity), null)
    fourth.close()
    const fifth = openDataDir(configOf(path, { ...relaxed, acceptLoss: stop.token }))
    assert.notEqual(uncleanStopOf(fifth.identity)?.token, stop.token, 'good for one stop')
    assert.ok(uncleanStopOf(fifth.identity) !== null)
    fifth.closedWell()
    assert.ok(uncleanStopOf(fifth.identity) !== null, 'it owes what the one before may lack')
    fifth.lossKept(configOf(path, relaxed))
    fifth.closedWell()
    fifth.close()
    const sixth = openDataDir(configOf(path))
    assert.equal(uncleanStopOf(sixth.identity), null)
    sixth.close()
  })

  test('a newer format', (t) => {
    const { path } = establish(t)
    rewrite(path, (identity) => {
      identity['format'] = 4
    })
    refused(configOf(path), 'ERR_UNSUPPORTED_FORMAT', /format 4; .* reads format 3/)
  })

  test('an identity that is damaged', (t) => {
    const { path } = establish(t)
    rewrite(path, (identity) => {
      identity['memberId'] = 'one'
    })
    refused(configOf(path), 'ERR_DATA_DIR', /not what colmena writes/)
    writeFileSync(join(path, 'identity.json'), '{')
    refused(configOf(path), 'ERR_DATA_DIR', /can't be read as JSON/)
    rmSync(join(path, 'identity.json'))
    mkdirSync(join(path, 'identity.json'))
    refused(configOf(path), 'ERR_DATA_DIR', /identity\.json can't be read: Error: EISDIR/)
  })

  test('a directory that can not be made', (t) => {
    const path = join(temporaryDirectory(t), 'file')
    writeFileSync(path, '')
    refused(configOf(join(path, 'below')), 'ERR_DATA_DIR', /can't make or enter/)
  })
})

suite('one at a time', () => {
  test('a second open in this process shows what to do', (t) => {
    const path = temporaryDirectory(t)
    const first = openDataDir(configOf(path))
    refused(configOf(path), 'ERR_ALREADY_OPEN', /globalThis\.colmenaNode \?\?= open\(/)
    // The same directory under another name is the same directory.
    const alias = join(temporaryDirectory(t), 'alias')
    symlinkSync(path, alias)
    refused(configOf(alias), 'ERR_ALREADY_OPEN', /open already/)
    first.close()
    openDataDir(configOf(path)).close()
  })

  test('a failed open lets go of it', (t) => {
    const { path } = establish(t)
    refused(configOf(path, { nodeId: 'other' }), 'ERR_INVALID_OPTION', /nodeId/)
    openDataDir(configOf(path)).close()
  })

  test('another process holds it until it is killed', async (t) => {
    const { path } = establish(t)
    const holder = fileURLToPath(new URL('./lock-holder.ts', import.meta.url))
    const child = spawn(process.execPath, [holder, path], { stdio: ['ignore', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    refused(configOf(path), 'ERR_LOCKED', /in use by another process/)
    assert.throws(() => wipe({ dataDir: path }), { code: 'ERR_LOCKED' })
    assert.ok(existsSync(join(path, 'identity.json')))
    child.kill('SIGKILL')
    await once(child, 'exit')
    openDataDir(configOf(path)).close()
  })

  test("is wiped only while nobody has it open, and of a node's files alone", (t) => {
    const { path } = establish(t)
    writeFileSync(join(path, 'notes.txt'), "somebody else's")
    const open = openDataDir(configOf(path))
    assert.throws(() => wipe({ dataDir: path }), { code: 'ERR_ALREADY_OPEN' })
    open.close()
    const names = ['identity.json', 'log', 'db']
    assert.deepEqual(
      wipe({ dataDir: path }),
      names.map((name) => join(path, name)),
    )
    for (const name of names) assert.ok(!existsSync(join(path, name)), name)
    assert.ok(existsSync(join(path, 'notes.txt')))
    assert.deepEqual(wipe({ dataDir: path }), [])
    const anew = openDataDir(configOf(path))
    anew.close()
    assert.equal(anew.identity.state, 'new')
  })
})
