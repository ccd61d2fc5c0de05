/** Received generations whose files are broken, though their hashes said that they came whole. */
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { isColmenaError } from '../../src/base/errors.ts'
import type { Replica } from '../../src/database/database.ts'
import { applyAll, createReplica, LogMaker, OTHER } from '../database/log-maker.ts'
import { breakBytes, type Mutation, mutations } from './mutations.ts'
import type { AnyTarget } from './target.ts'
import { record } from './values.ts'

interface BrokenFile {
  readonly file: number
  readonly other: number
  readonly changes: readonly Mutation[]
}

const input: fc.Arbitrary<BrokenFile> = record({
  file: fc.nat(1),
  other: fc.nat(1),
  changes: mutations,
})

const FILES = ['system.db', 'a.db'] as const

let ends: (() => void)[] = []
let whole: readonly Uint8Array[] = []
let index = 0

const context = { after: (end: () => void) => void ends.push(end) } as unknown as TestContext

async function openSource(): Promise<() => void> {
  const { replica, directory } = createReplica(context, { ownOrigin: OTHER })
  const log = new LogMaker()
  log.register()
  log.write('a', ['CREATE TABLE t (v)', ['INSERT INTO t VALUES (?)', 'one']])
  applyAll(replica, log)
  const snapshot = replica.pinSnapshot()
  assert.ok(snapshot)
  const path = join(directory, 'copy')
  await snapshot.copyTo(path)
  snapshot.release()
  index = snapshot.index
  whole = FILES.map((name) => new Uint8Array(readFileSync(join(path, name))))
  return endAll
}

function endAll(): void {
  for (const end of ends.reverse()) end()
  ends = []
}

/** It is refused with an error of ours and the old one stays, or it is what was announced. */
function checkGeneration({ file, other, changes }: BrokenFile): void {
  const kept = ends
  ends = []
  try {
    const { directory, replica } = createReplica(context)
    mkdirSync(join(directory, '2'))
    FILES.forEach((name, at) => {
      const bytes = whole[at] as Uint8Array
      const isBroken = at === file
      const written = isBroken ? breakBytes(bytes, whole[other] as Uint8Array, changes) : bytes
      writeFileSync(join(directory, '2', name), written)
    })
    const isRefused = !installs(replica)
    assert.ok(!isRefused || changes.length > 0, 'a whole one is taken')
    assert.equal(replica.generation, isRefused ? 1 : 2)
    assert.equal(replica.appliedIndex, isRefused ? 1 : index)
    assert.deepEqual(readdirSync(directory).sort(), ['1', '2'])
    rmSync(join(directory, isRefused ? '2' : '1'), { recursive: true })
  } finally {
    endAll()
    ends = kept
  }
}

function installs(replica: Replica): boolean {
  try {
    replica.installGeneration(2, { index })
    return true
  } catch (error) {
    if (isColmenaError(error)) return false
    throw error
  }
}

export const generationTargets: readonly AnyTarget[] = [
  { name: 'database.generation', runs: 30, input, open: openSource, check: checkGeneration },
]
