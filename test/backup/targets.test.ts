/** The suite that targets are held to, on those of ours. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { directoryTarget, testTarget } from '../../src/backup/backup.ts'
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
