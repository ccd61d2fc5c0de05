/** One node of a cluster that lost its quorum goes on alone, with all that it has. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, type TestContext, test } from 'node:test'
import { noteDivergence } from '../../src/database/generation.ts'
import { type ColmenaNode, type NodeEvents, open, planRecovery, recover } from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { DEADLINE_MS, until } from '../processes/wait.ts'
import { crashAt, withFreeBytes, withoutCopies } from './crashing-files.ts'
import { temporaryDirectory } from './temporary.ts'

/** What three voters left: the leader's holds one entry that no other one had. */
const lost = mkdtempSync(join(tmpdir(), 'colmena-lost-'))
let ports: readonly number[] = []

before(async () => {
  ports = await findFreePorts(3)
  const nodes = await Promise.all([0, 1, 2].map((at) => openNode(at, join(lost, `n${at}`))))
  const [leader, ...others] = nodes as [ColmenaNode, ColmenaNode, ColmenaNode]
  const db = leader.database()
  await db.execute('CREATE TABLE t (v)')
  await until('all vote', async () => {
    const members = await leader.members()
    return members.length === 3 && members.every(({ role }) => role === 'voter')
  })
  // Of another origin than the one that goes on: its member is gone when it applies.
  await others[0].database().execute("INSERT INTO t VALUES ('acknowledged')")
  await leader.transferLeadership('n0').catch(() => {})
  await Promise.all(others.map((node) => node.close()))
  const alone = db.execute("INSERT INTO t VALUES ('of one')")
  await assert.rejects(alone, { outcome: 'unknown' })
  await leader.close()
})

after(() => rmSync(lost, { recursive: true, force: true }))

function openNode(at: number, dataDir: string, join = true): Promise<ColmenaNode> {
  const port = ports[at] as number
  const begins = at === 0 ? { bootstrap: true } : { join: `127.0.0.1:${ports[0]}` }
  return open({
    nodeId: `n${at}`,
    dataDir,
    bind: `127.0.0.1:${port}`,
    heartbeatMs: 50,
    // Of several, one must stay the leader on a loaded machine.
    electionTimeoutMs: join ? 1_000 : 300,
    requestTimeoutMs: 2_000,
    logSegmentBytes: 65_536,
    ...(join ? begins : {}),
  })
}

/** The first node on a recovered directory: a loaded machine elects later than a call waits. */
async function openRecovered(t: TestContext, dataDir: string): Promise<ColmenaNode> {
  const node = await openNode(0, dataDir, false)
  t.after(() => node.close())
  await node.waitForLeader({ timeoutMs: DEADLINE_MS })
  return node
}

/** A directory as that node left it. */
function leftBy(t: TestContext, at: number): string {
  const dataDir = join(temporaryDirectory(t), 'data')
  cpSync(join(lost, `n${at}`), dataDir, { recursive: true })
  return dataDir
}

/** What each file holds, by its path. */
function filesIn(directory: string): ReadonlyMap<string, string> {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && entry.name !== 'lock')
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name)
      return [
        relative(directory, path),
        createHash('sha256').update(readFileSync(path)).digest('hex'),
      ]
    }),
  )
}

async function rowsOf(node: ColmenaNode): Promise<readonly unknown[]> {
  const { rows } = await node.database().execute('SELECT v FROM t ORDER BY rowid')
  return rows.map(({ v }) => v)
}

test('it keeps all that its node has, and the old files', async (t) => {
  const dataDir = leftBy(t, 0)
  const plan = await planRecovery({ dataDir })
  assert.ok(plan.lastIndex > plan.commitIndex, 'one entry is not known to be committed')
  assert.deepEqual(plan.dropped.map(({ nodeId, role }) => `${nodeId} ${role}`).sort(), [
    'n1 voter',
    'n2 voter',
  ])
  await assert.rejects(recover({ dataDir, nodeId: 'n1' }), { code: 'ERR_INVALID_ARGUMENT' })
  const before = filesIn(dataDir)
  const { newClusterId, clusterId, keptIn } = await recover({ dataDir, nodeId: 'n0' })
  assert.notEqual(newClusterId, clusterId)
  const kept = filesIn(keptIn)
  // A log makes its spare segment anew each time, and its last one.
  const databases = (files: ReadonlyMap<string, string>): readonly unknown[] =>
    [...files].filter(([path]) => path.startsWith('db/') || path === 'identity.json')
  assert.ok(databases(before).length > 2)
  assert.deepEqual(databases(kept), databases(before))
  assert.equal((await planOf(keptIn)).lastIndex, plan.lastIndex)

  const node = await openRecovered(t, dataDir)
  assert.deepEqual(await rowsOf(node), ['acknowledged', 'of one'])
  await node.database().execute("INSERT INTO t VALUES ('after')")
  assert.deepEqual(
    (await node.members()).map(({ nodeId, role }) => `${nodeId} ${role}`),
    ['n0 voter'],
  )

  // What is left of the old cluster is told apart, on both sides, and nothing of it comes in.
  const warnings: NodeEvents['warning'][0][] = []
  node.on('warning', (warning) => warnings.push(warning))
  const old = await openNode(1, leftBy(t, 1), false)
  t.after(() => old.close())
  await until('it is refused', () =>
    warnings.some(
      ({ code, message }) =>
        code === 'ERR_OTHER_CLUSTER' && /left of the cluster that was/.test(message),
    ),
  )
  assert.equal(old.leader, null)
  await old.close()
  const anew = await openNode(1, join(temporaryDirectory(t), 'new'))
  t.after(() => anew.close())
  assert.deepEqual(await rowsOf(anew), ['acknowledged', 'of one', 'after'])
})

async function planOf(dataDir: string): ReturnType<typeof planRecovery> {
  return planRecovery({ dataDir })
}

test('a crash at any step leaves the old state or the new one', async (t) => {
  const base = temporaryDirectory(t)
  const original = await planRecovery({ dataDir: leftBy(t, 0) })
  const seen = { old: 0, new: 0 }
  for (let step = 0; ; step += 1) {
    const dataDir = join(base, String(step))
    cpSync(join(lost, 'n0'), dataDir, { recursive: true })
    const hasCrashed = await crashAt(step, () => recover({ dataDir, nodeId: 'n0' }))
    if (!hasCrashed) break
    const found = await planOf(dataDir).catch((error: Error) => error)
    if (found instanceof Error) {
      assert.match(found.message, /nothing to recover/, `step ${step}`)
      seen.new += 1
      if (seen.new === 1) {
        const node = await openRecovered(t, dataDir)
        assert.deepEqual(await rowsOf(node), ['acknowledged', 'of one'])
        await node.close()
      }
    } else {
      const { freeBytes: _, ...plan } = found
      assert.deepEqual(plan, { ...plan, ...without(original, 'freeBytes'), dataDir })
      seen.old += 1
    }
    assert.ok(!readdirSync(dataDir).includes('recovering'), 'nothing half made is left')
    rmSync(dataDir, { recursive: true })
  }
  assert.ok(seen.old > 10 && seen.new > 5, JSON.stringify(seen))
})

function without<T extends object, K extends keyof T>(value: T, key: K): Omit<T, K> {
  const { [key]: _, ...rest } = value
  return rest
}

test('a crash while `open` ends a recovery is made good by the next one', async (t) => {
  const base = temporaryDirectory(t)
  const half = join(base, 'half')
  // The first step after the switch: all is left to do.
  for (let step = 0; ; step += 1) {
    cpSync(join(lost, 'n0'), half, { recursive: true })
    assert.ok(await crashAt(step, () => recover({ dataDir: half, nodeId: 'n0' })))
    const text = readFileSync(join(half, 'identity.json'), 'utf8')
    if (text.includes('"recovery"')) break
    rmSync(half, { recursive: true })
  }
  for (const step of [0, 3]) {
    const dataDir = join(base, String(step))
    cpSync(half, dataDir, { recursive: true })
    assert.ok(await crashAt(step, () => openNode(0, dataDir, false)))
    await assert.rejects(planOf(dataDir), /nothing to recover/)
  }
  const node = await openRecovered(t, half)
  assert.deepEqual(await rowsOf(node), ['acknowledged', 'of one'])
  await node.close()
})

test('what it began is gone where it fails, as the disk may be full of it', async (t) => {
  const dataDir = leftBy(t, 0)
  const before = readdirSync(dataDir).sort()
  await withoutCopies(async () => {
    const failure = {
      code: 'ERR_DATA_DIR',
      message: /not be made in .*ENOSPC.*Nothing was changed/,
    }
    await assert.rejects(recover({ dataDir, nodeId: 'n0' }), failure)
  })
  assert.deepEqual(readdirSync(dataDir).sort(), before)
  await recover({ dataDir, nodeId: 'n0' })
})

test('it refuses what it can not or need not do, and changes nothing', async (t) => {
  const single = join(temporaryDirectory(t), 'single')
  const alone = await open({ dataDir: single })
  await assert.rejects(planOf(single), { code: 'ERR_ALREADY_OPEN' })
  await alone.close()
  await assert.rejects(planOf(single), {
    code: 'ERR_INVALID_ARGUMENT',
    message: /nothing to recover: node '.*' is the only voter/,
  })
  await assert.rejects(planOf(join(single, 'none')), { code: 'ERR_DATA_DIR' })
  await assert.rejects(planOf(temporaryDirectory(t)), { code: 'ERR_DATA_DIR' })

  const dataDir = leftBy(t, 0)
  await withFreeBytes(1_000, async () => {
    await assert.rejects(recover({ dataDir, nodeId: 'n0' }), /1000 bytes free/)
  })
  const identity = readFileSync(join(dataDir, 'identity.json'), 'utf8')
  writeFileSync(join(dataDir, 'identity.json'), identity.replace('"format": 1', '"format": 9'))
  await assert.rejects(planOf(dataDir), { code: 'ERR_UNSUPPORTED_FORMAT' })
  writeFileSync(join(dataDir, 'identity.json'), identity)
  const segment = join(dataDir, 'log', readdirSync(join(dataDir, 'log')).sort()[0] as string)
  const bytes = readFileSync(segment)
  bytes.fill(7, 4_200, 4_300)
  writeFileSync(segment, bytes)
  await assert.rejects(planOf(dataDir), {
    code: 'ERR_LOG_CORRUPT',
    message: /Recover another member, if one is left.*colmena import/,
  })
})

/** What makes a directory one that no cluster should go on from. */
const UNFIT: Readonly<Record<string, readonly [(generation: string) => void, object]>> = {
  'its databases differ from the others': [
    (generation) => noteDivergence(generation, 3, 'they differ, for this test'),
    { code: 'ERR_DATA_DIR', message: /differ, for this test.*Recover another member/ },
  ],
  'its databases are ahead of its log': [
    (generation) => change(generation, 'UPDATE _colmena_state SET applied = applied + 100'),
    { code: 'ERR_LOG_CORRUPT', message: /but the log has .*Recover another member/ },
  ],
  'it is no member': [
    (generation) => change(generation, 'DELETE FROM _colmena_members'),
    { code: 'ERR_INVALID_ARGUMENT', message: /no member of its cluster/ },
  ],
}

function change(generation: string, sql: string): void {
  const system = new DatabaseSync(join(generation, 'system.db'))
  system.exec(sql)
  system.close()
}

for (const [name, [spoil, error]] of Object.entries(UNFIT)) {
  test(`it refuses a node where ${name}`, async (t) => {
    const dataDir = leftBy(t, 0)
    spoil(join(dataDir, 'db', '1'))
    const before = filesIn(dataDir)
    await assert.rejects(recover({ dataDir, nodeId: 'n0' }), error)
    assert.deepEqual([...filesIn(dataDir).keys()], [...before.keys()])
    assert.equal(filesIn(dataDir).get('identity.json'), before.get('identity.json'))
  })
}

test('a relaxed member that was killed passes over what it may have given away', async (t) => {
  const dataDir = leftBy(t, 0)
  const path = join(dataDir, 'identity.json')
  const identity = JSON.parse(readFileSync(path, 'utf8'))
  const { incarnation } = identity
  writeFileSync(path, JSON.stringify({ ...identity, format: 2, relaxedSince: incarnation }))
  const { isUnclean, lastIndex } = await recover({ dataDir, nodeId: 'n0' })
  assert.ok(isUnclean)
  const node = await openRecovered(t, dataDir)
  const { index } = await node.database().execute("INSERT INTO t VALUES ('after')")
  assert.ok(index > lastIndex + 4_096, `${index}`)
  assert.deepEqual(await rowsOf(node), ['acknowledged', 'of one', 'after'])
})
