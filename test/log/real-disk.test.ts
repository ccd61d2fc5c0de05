import assert from 'node:assert/strict'
import fs, { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { type DiskFile, openRealDisk } from '../../src/log/log.ts'

describe('the real disk', () => {
  it('writes behind what was to be sent before, so that peers need not wait for it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'colmena-disk-'))
    try {
      const disk = openRealDisk(root)
      const open = (mode: 'create' | 'write'): Promise<DiskFile> =>
        new Promise((resolve, reject) => {
          disk.open('a', mode, (error, file) => (error === null ? resolve(file) : reject(error)))
        })
      const closed = (file: DiskFile): Promise<unknown> => new Promise((done) => file.close(done))
      await closed(await open('create'))
      const file = await open('write')
      // As the transport does it: what was sent in a turn leaves in an immediate.
      const atSending = new Promise<string>((resolve) => {
        setImmediate(() => resolve(readFileSync(join(root, 'a'), 'utf8')))
      })
      const written = new Promise<Error | null>((resolve) => {
        file.write(Buffer.from('entry'), 0, { sync: true }, resolve)
      })
      assert.equal(await atSending, '')
      assert.equal(await written, null)
      assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'entry')
      await closed(file)
    } finally {
      rmSync(root, { recursive: true })
    }
  })

  for (const writeMode of ['sync', 'async'] as const) {
    it(`writes on where the system took a part of the bytes (${writeMode})`, async (test) => {
      const root = mkdtempSync(join(tmpdir(), 'colmena-disk-'))
      test.after(() => rmSync(root, { recursive: true }))
      const { write, writeSync } = fs
      type Write = (fd: number, bytes: Buffer, at: number, size: number, ...rest: never[]) => void
      const oneByte = (real: unknown): Write => {
        return (fd, bytes, at, _, ...rest) => (real as Write)(fd, bytes, at, 1, ...rest)
      }
      test.mock.method(fs, 'write', oneByte(write) as unknown as typeof fs.write)
      test.mock.method(fs, 'writeSync', oneByte(writeSync) as unknown as typeof fs.writeSync)
      const file = await new Promise<DiskFile>((resolve, reject) => {
        openRealDisk(root, { writeMode }).open('a', 'create', (error, opened) =>
          error === null ? resolve(opened) : reject(error),
        )
      })
      const error = await new Promise((done) => {
        file.write(Buffer.from('entry'), 2, { sync: true }, done)
      })
      assert.equal(error, null)
      assert.equal(readFileSync(join(root, 'a'), 'latin1'), '\0\0entry')
      await new Promise((done) => file.close(done))
    })
  }
})
