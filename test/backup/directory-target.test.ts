/** What a folder has beside what every target has: modes, mounts, crashes, and its errors. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import fs, { type FileHandle, open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import {
  type BackupTarget,
  type DirectoryTargetOptions,
  directoryTarget,
} from '../../src/backup/backup.ts'
import { until } from '../processes/wait.ts'

const BYTES = Buffer.from('what is kept')

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-target-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function namesIn(target: BackupTarget): Promise<string[]> {
  const names: string[] = []
  for await (const { name } of target.list('')) names.push(name)
  return names
}

async function read(target: BackupTarget, name: string): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of target.get(name)) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

async function mockedHandle(t: TestContext): Promise<FileHandle> {
  const handle = await open(makeFolder(t), 'r')
  t.after(() => handle.close())
  return Object.getPrototypeOf(handle)
}

function diskError(code: string): Error {
  return Object.assign(new Error(`${code}: the disk said so`), { code })
}

describe('a target in a folder', () => {
  it('is made, with what is in it, for its user alone', async (t) => {
    const root = join(makeFolder(t), 'made')
    await using target = directoryTarget(root)
    assert.deepEqual(await namesIn(target), [])
    assert.equal(existsSync(root), false, 'a list makes nothing')
    await target.put('a/b/object', BYTES)
    const modeOf = (path: string): number => statSync(join(root, path)).mode & 0o777
    assert.deepEqual(['', '.aside', 'a', 'a/b'].map(modeOf), [0o700, 0o700, 0o700, 0o700])
    assert.equal(modeOf('a/b/object'), 0o600)
    await target.delete('a/b/object')
    assert.deepEqual(readdirSync(root), ['.aside'], 'folders go with what was in them')
  })

  it('is not made where what it lies in is not there', async (t) => {
    const root = join(makeFolder(t), 'not', 'there')
    await using target = directoryTarget(root)
    const away = { code: 'ERR_TARGET', retryable: true, message: /not\/there .*mount/ }
    await assert.rejects(target.put('object', BYTES), away)
    await assert.rejects(namesIn(target), away)
    await assert.rejects(target.delete('object'), away)
    mkdirSync(root, { recursive: true })
    await target.put('object', BYTES)
    assert.deepEqual(await namesIn(target), ['object'])
  })

  it('is not made where it is to be there', async (t) => {
    const root = join(makeFolder(t), 'mounted')
    await using target = directoryTarget(root, { create: false })
    await assert.rejects(target.put('object', BYTES), { code: 'ERR_TARGET', retryable: true })
    await assert.rejects(namesIn(target), { code: 'ERR_TARGET', retryable: true })
    assert.equal(existsSync(root), false)
    mkdirSync(root)
    await target.put('object', BYTES)
  })

  it('is not made anew while the file system that it lay on is away', async (t) => {
    const folder = makeFolder(t)
    const root = join(folder, 'mount')
    await using target = directoryTarget(root)
    await target.put('object', BYTES)
    renameSync(root, join(folder, 'away'))
    const away = { code: 'ERR_TARGET', retryable: true, message: /not there any more/ }
    await assert.rejects(target.put('other', BYTES), away)
    await assert.rejects(namesIn(target), away)
    mkdirSync(root)
    await assert.rejects(target.put('other', BYTES), away, 'the place to mount it at, empty')
    assert.deepEqual(readdirSync(root), [])
    rmSync(root, { recursive: true })
    renameSync(join(folder, 'away'), root)
    await target.put('other', BYTES)
    assert.deepEqual(await namesIn(target), ['object', 'other'])
  })

  it('is not made anew either where it goes away during a put', async (t) => {
    const folder = makeFolder(t)
    const root = join(folder, 'mount')
    await using target = directoryTarget(root)
    const content = async function* (): AsyncIterable<Uint8Array> {
      yield BYTES
      renameSync(root, join(folder, 'away'))
      yield BYTES
    }
    await assert.rejects(target.put('a/object', content()), { code: 'ERR_TARGET', retryable: true })
    assert.equal(existsSync(root), false)
  })

  it('shows nothing of a put whose process was killed', async (t) => {
    const root = join(makeFolder(t), 'killed')
    const door = import.meta.resolve('../../src/backup/backup.ts')
    const program = `
      import { directoryTarget } from '${door}'
      async function* content() {
        for (;;) {
          yield new Uint8Array(100_000)
          await new Promise(setImmediate)
        }
      }
      await directoryTarget(${JSON.stringify(root)}).put('a/object', content())
    `
    const args = ['--input-type=module-typescript', '--eval', program]
    const child = spawn(process.execPath, args, { stdio: 'ignore' })
    const aside = join(root, '.aside')
    await until('a part of it is written', () => {
      if (!existsSync(aside)) return false
      return readdirSync(aside).some((name) => statSync(join(aside, name)).size > 1_000_000)
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    await using target = directoryTarget(root)
    assert.deepEqual(await namesIn(target), [])
    await assert.rejects(read(target, 'a/object'), { code: 'ERR_NOT_FOUND' })
  })

  it('removes what crashes left, after a day', async (t) => {
    const root = makeFolder(t)
    const aside = join(root, '.aside')
    mkdirSync(aside)
    for (const name of ['old', 'young']) writeFileSync(join(aside, name), BYTES)
    const longAgo = Date.now() / 1_000 - 90_000
    utimesSync(join(aside, 'old'), longAgo, longAgo)
    await using target = directoryTarget(root)
    assert.deepEqual(await namesIn(target), [])
    assert.deepEqual(readdirSync(aside), ['young'])
    utimesSync(join(aside, 'young'), longAgo, longAgo)
    await using later = directoryTarget(root)
    await later.put('object', BYTES)
    assert.deepEqual(readdirSync(aside), [])
  })

  it('leaves nothing aside of a put that ended in whatever way', async (t) => {
    const root = makeFolder(t)
    await using target = directoryTarget(root)
    await target.put('object', BYTES)
    await target.put('object', BYTES, { ifAbsent: true })
    const aborted = new AbortController()
    const content = async function* (): AsyncIterable<Uint8Array> {
      yield BYTES
      aborted.abort()
      yield BYTES
    }
    const put = target.put('other', content(), { signal: aborted.signal })
    await assert.rejects(put, { code: 'ERR_ABORTED' })
    assert.deepEqual(readdirSync(join(root, '.aside')), [])
  })

  it('puts nothing in its place that the disk has not', async (t) => {
    const root = makeFolder(t)
    await using target = directoryTarget(root)
    await target.put('object', BYTES)
    const handle = await mockedHandle(t)
    const sync = t.mock.method(handle, 'sync', () => Promise.reject(diskError('EIO')))
    const failed = { code: 'ERR_TARGET', retryable: true, message: /could not put .*: EIO/ }
    await assert.rejects(target.put('object', Buffer.from('new')), failed)
    assert.equal(readFileSync(join(root, 'object'), 'utf8'), 'what is kept')
    sync.mock.mockImplementation(async function (this: FileHandle) {
      if ((await this.stat()).isDirectory()) throw diskError('EIO')
    })
    await assert.rejects(target.put('a/object', BYTES), failed, 'names are synced as well')
    await assert.rejects(target.delete('object'), { code: 'ERR_TARGET' })
    sync.mock.mockImplementation(async function (this: FileHandle) {
      if ((await this.stat()).isDirectory()) throw diskError('EINVAL')
    })
    await target.put('b/object', BYTES)
    assert.equal(await read(target, 'b/object'), 'what is kept', 'where folders have no syncing')
  })

  for (const [code, retryable, advice] of [
    ['ENOSPC', true, /make room/],
    ['EDQUOT', true, /make room/],
    ['EIO', true, /look after the file system/],
    ['EACCES', false, /let the user of this process/],
    ['EROFS', false, /mount it so that it can be written/],
  ] as const) {
    it(`says what to do about ${code}`, async (t) => {
      await using target = directoryTarget(makeFolder(t))
      const handle = await mockedHandle(t)
      t.mock.method(handle, 'writeFile', () => Promise.reject(diskError(code)))
      const put = target.put('object', BYTES)
      await assert.rejects(put, { code: 'ERR_TARGET', retryable, message: advice })
      assert.deepEqual(await namesIn(target), [])
    })
  }

  it('does not take an error of the content for its own', async (t) => {
    await using target = directoryTarget(makeFolder(t))
    const failure = diskError('ENOSPC')
    // biome-ignore lint/correctness/useYield: it throws before there is anything
    const content = async function* (): AsyncIterable<Uint8Array> {
      throw failure
    }
    await assert.rejects(target.put('object', content()), (error) => error === failure)
  })

  it('is told what it did where a mount lost the answer to that', async (t) => {
    const root = makeFolder(t)
    await using target = directoryTarget(root)
    const { link } = fs
    t.mock.method(fs, 'link', async (from: string, to: string) => {
      await link(from, to)
      throw diskError('EEXIST')
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    assert.equal(await target.put('a/object', BYTES, { ifAbsent: true }), true)
    assert.equal(await target.put('a/object', BYTES, { ifAbsent: true }), false)
    assert.equal(await read(target, 'a/object'), 'what is kept')
  })

  it('says that it needs hard links', async (t) => {
    await using target = directoryTarget(makeFolder(t))
    t.mock.method(fs, 'link', () => Promise.reject(diskError('ENOTSUP')))
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    const failed = { code: 'ERR_TARGET', retryable: false, message: /hard links/ }
    await assert.rejects(target.put('object', BYTES, { ifAbsent: true }), failed)
    assert.deepEqual(await namesIn(target), [])
  })

  it('tells a file that became shorter from one that is whole', async (t) => {
    const root = makeFolder(t)
    await using target = directoryTarget(root)
    await target.put('object', new Uint8Array(1_000_000))
    const reading = (async () => {
      for await (const _ of target.get('object')) truncateSync(join(root, 'object'), 300_000)
    })()
    await assert.rejects(reading, { code: 'ERR_TARGET', message: /last \d+ bytes are not there/ })
  })

  it('needs a folder, and says so where there is a file', async (t) => {
    const root = join(makeFolder(t), 'file')
    writeFileSync(root, '')
    await using target = directoryTarget(root)
    const failed = { code: 'ERR_TARGET', retryable: false, message: /is no folder/ }
    await assert.rejects(target.put('object', BYTES), failed)
    await assert.rejects(namesIn(target), failed)
  })

  it('refuses names that a file or a folder stands in the way of', async (t) => {
    await using target = directoryTarget(makeFolder(t))
    await target.put('a/b', BYTES)
    const failed = { code: 'ERR_TARGET', retryable: false, message: /stands there/ }
    await assert.rejects(target.put('a', BYTES), failed)
    await assert.rejects(target.put('a/b/c', BYTES), failed)
    await target.delete('a')
    assert.deepEqual(await namesIn(target), ['a/b'])
  })

  it('lists no links and no hidden files', async (t) => {
    const root = makeFolder(t)
    await using target = directoryTarget(root)
    await target.put('object', BYTES)
    writeFileSync(join(root, '.hidden'), '')
    mkdirSync(join(root, '.folder'))
    writeFileSync(join(root, '.folder', 'file'), '')
    symlinkSync(join(root, 'object'), join(root, 'link'))
    symlinkSync(root, join(root, 'folder-link'))
    assert.deepEqual(await namesIn(target), ['object'])
  })

  it('refuses options that it has not', () => {
    for (const [path, options, message] of [
      ['', {}, /is a path, not ""/],
      [7, {}, /is a path, not 7/],
      ['a\0b', {}, /is a path/],
      ['a', { make: true }, /has no option 'make'; it has create/],
      ['a', { create: 'yes' }, /create is "yes"/],
      ['a', null, /an object, not null/],
    ] as const) {
      assert.throws(() => directoryTarget(path as string, options as DirectoryTargetOptions), {
        code: 'ERR_INVALID_OPTION',
        message,
      })
    }
  })
})
