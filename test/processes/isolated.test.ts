/** The processes that isolated reads run in never outlive the one that started them. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { databaseFile } from './content.ts'
import { NodeHandle } from './node-handle.ts'
import { until } from './wait.ts'

const ENDLESS =
  'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c'

/** Ids of the reader processes of a data directory, which they name as their argument. */
function readersOf(dataDir: string): readonly string[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n')
  const ours = lines.filter((line) => line.includes('reader-process') && line.includes(dataDir))
  return ours.map((line) => line.trim().split(' ')[0] ?? '')
}

async function openNode(t: TestContext): Promise<{ node: NodeHandle; dataDir: string }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'colmena-isolated-'))
  const node = new NodeHandle()
  t.after(async () => {
    await node.kill()
    rmSync(dataDir, { recursive: true, force: true })
  })
  await node.call('open', { dataDir, statementTimeoutMs: 600_000 })
  return { node, dataDir }
}

/** Two processes, one of them with a statement that never ends. */
async function occupy(node: NodeHandle, dataDir: string): Promise<void> {
  await node.call('execute', 'CREATE TABLE IF NOT EXISTS t (a)')
  node.call('execute', ENDLESS, [], { isolated: true }).catch(() => {})
  await node.call('execute', 'SELECT 1', [], { isolated: true })
  await until('both are there', () => readersOf(dataDir).length === 2)
}

it('a node that is killed takes its readers along, whatever they run', async (t) => {
  const { node, dataDir } = await openNode(t)
  await occupy(node, dataDir)
  await node.kill()
  await until('all are gone', () => readersOf(dataDir).length === 0)
})

it('signals that end an application end no read of it: that is for the node to do', async (t) => {
  const { node, dataDir } = await openNode(t)
  await occupy(node, dataDir)
  const readers = readersOf(dataDir)
  for (const pid of readers) {
    const group = execFileSync('ps', ['-o', 'pgid=', '-p', pid], { encoding: 'utf8' }).trim()
    assert.equal(group, pid, 'a group of its own, which Ctrl-C does not reach')
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(Number(pid), signal)
  }
  await node.call('execute', 'SELECT 1', [], { isolated: true })
  assert.deepEqual(readersOf(dataDir), readers)
})

it('a node that closes leaves no reader, and its files whole', async (t) => {
  const { node, dataDir } = await openNode(t)
  await occupy(node, dataDir)
  await node.call('close')
  assert.deepEqual(readersOf(dataDir), [])
  // They were gone before the writers: whoever is last takes the write-ahead files in.
  const files = readdirSync(dirname(databaseFile(dataDir)))
  assert.deepEqual(
    files.filter((name) => name.endsWith('-wal')),
    [],
  )
})

it('a node that fails leaves no reader', async (t) => {
  const { node, dataDir } = await openNode(t)
  await node.call('close')
  await node.call('open', { dataDir, statementTimeoutMs: 600_000 }, 'faulty')
  await occupy(node, dataDir)
  await node.call('breakThread', 'storage', 'throw')
  await until('all are gone', () => readersOf(dataDir).length === 0)
  assert.equal(node.isRunning, true)
})
