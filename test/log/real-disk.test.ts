import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
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
})
