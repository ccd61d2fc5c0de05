/** The suite that targets are held to, on those of ours. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { directoryTarget, testTarget } from '../../src/backup/backup.ts'
import { readCodeBlocks, readPage, root } from '../docs/pages.ts'
import { MemoryTarget } from './memory-target.ts'

describe('a target in memory', () => {
  const held = new Map()
  for (const { name, run } of testTarget(() => new MemoryTarget(held))) it(name, run)
})

describe('a target in a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'colmena-target-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  for (const { name, run } of testTarget(() => directoryTarget(folder))) it(name, run)
})

describe('a target as docs/backup-targets.md has it', () => {
  it('keeps what targets promise', { timeout: 60_000 }, async () => {
    const blocks = readCodeBlocks(readPage('docs/backup-targets.md'))
    const code = blocks.map((block) => block.code).find((text) => text.includes('testTarget('))
    const door = import.meta.resolve('../../src/backup/backup.ts')
    const program = code
      ?.replace("'colmena/backup'", `'${door}'`)
      .replace("'colmena'", `'${import.meta.resolve('../../src/index.ts')}'`)
    const args = ['--input-type=module-typescript', '--eval', program ?? 'throw 0']
    const child = spawn(process.execPath, args, { cwd: root, timeout: 50_000 })
    let said = ''
    child.stdout.resume()
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    const [status] = await once(child, 'close')
    assert.deepEqual([status, said], [0, ''])
  })
})
