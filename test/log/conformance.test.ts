import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { openRealDisk } from '../../src/log/log.ts'
import { SimulatedDisk } from '../simulated/disk.ts'
import { SeededRandom } from '../simulated/random.ts'
import { testLog } from './conformance.ts'

const roots: string[] = []
after(() => {
  for (const root of roots) rmSync(root, { recursive: true, force: true })
})

function makeRoot(): string {
  const root = mkdtempSync(join(tmpdir(), 'colmena-log-'))
  roots.push(root)
  return root
}

testLog('real disk, sync', () => openRealDisk(makeRoot(), { writeMode: 'sync' }))
testLog('real disk, async', () => openRealDisk(makeRoot(), { writeMode: 'async' }))
testLog('simulated disk', () => {
  const random = new SeededRandom('conformance disk')
  // Completions in another order than the operations began, as on a real disk.
  const schedule = (_operation: unknown, complete: () => void): void => {
    if (random.chance(0.5)) setImmediate(complete)
    else process.nextTick(complete)
  }
  return new SimulatedDisk({ random, schedule })
})
