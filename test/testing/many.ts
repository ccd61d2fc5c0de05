/** Many test nodes in one run of one process, which must not fill its disk. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createTestNode } from '../../src/testing/testing.ts'

/** What one may take of the disk once it has a table and a row: a hundred take 50 MB at most. */
export const NODE_BYTES_MAX: number = 512 * 1024

/** So many are open at a time: each takes two threads, and memory. */
const AT_ONCE = 10

/** What lies below a folder: the larger of what files say and of what the disk gave for them. */
export function measureBytes(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => {
    const { size, blocks } = statSync(join(parentPath, name))
    return sum + Math.max(size, 512 * blocks)
  }, 0)
}

/** All are kept open until those beside them have written. */
export async function runTestNodes({ nodes: count }: { nodes: number }): Promise<string[]> {
  const given = process.env['TMPDIR']
  const folder = mkdtempSync(join(tmpdir(), 'colmena-many-nodes-'))
  process.env['TMPDIR'] = folder
  let together = 0
  let most = 0
  try {
    for (let from = 0; from < count; from += AT_ONCE) {
      const batch = Math.min(AT_ONCE, count - from)
      const nodes = await Promise.all(Array.from({ length: batch }, () => createTestNode()))
      for (const node of nodes) {
        await node.database().execute('CREATE TABLE notes (text TEXT)')
        await node.database().execute("INSERT INTO notes VALUES ('milk')")
      }
      const bytes = measureBytes(folder)
      assert.ok(bytes > 0 && bytes <= batch * NODE_BYTES_MAX, `${batch} nodes take ${bytes} bytes`)
      await Promise.all(nodes.map((node) => node.close()))
      assert.deepEqual(readdirSync(folder), [], 'something is left of nodes that were closed')
      together += bytes
      most = Math.max(most, bytes)
    }
  } finally {
    if (given === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = given
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
  const [all, peak] = [together, most].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB`)
  return [
    `${count} test nodes in one process took ${all} together, at most ${peak} at a time; 0 left`,
  ]
}
