/** What listeners hear of each way to write, and of what was not written. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { processNowMs } from '../../src/base/process-clock.ts'
import { SharedState } from '../../src/base/shared-state.ts'
import type { EngineWorkerData, UserToEngine } from '../../src/engine/engine.ts'
import {
  type AppliedEvent,
  type Change,
  type ColmenaNode,
  type Database,
  type OpenOptions,
  open,
} from '../../src/index.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { openFake } from './fake-node.ts'
import { temporaryDirectory } from './temporary.ts'

const SCHEMA = 'CREATE TABLE t (id INTEGER PRIMARY KEY)'
const LAST = 1_000
const TTL = { ttlMs: 20_000 }

async function openHere(t: TestContext, more: Partial<OpenOptions> = {}): Promise<ColmenaNode> {
  const node = await open({ dataDir: temporaryDirectory(t), ...more })
  t.after(() => node.close())
  return node
}

function insert(id: number): string {
  return `INSERT INTO t VALUES (${id})`
}

function inShort({ database, statements, results, error }: AppliedEvent): string {
  const sqls = statements.map(({ sql }) => sql).join('; ')
  return `${database}: ${sqls} -> ${error?.code ?? results.length}`
}

/** All changes of the table up to that of the last row. */
async function readAll(db: Database): Promise<string[]> {
  const told: string[] = []
  for await (const change of db.changes({ from: 0, tables: ['t'] })) {
    told.push(idOf(change))
    if (told.at(-1) === `insert ${LAST}`) return told
  }
  assert.fail('the changes end')
}

function idOf(change: Change): string {
  if (change.kind === 'schema') return 'schema'
  return `${change.kind} ${(change.after ?? change.before)?.['id']}`
}

/** Rows 1 to 11 are written in each way that there is; those from 90 on are not. */
async function writeInEachWay(node: ColmenaNode, db: Database): Promise<void> {
  await db.execute(SCHEMA)
  await db.execute(insert(1))
  await db.batch([insert(2), insert(3)])
  await db.executeMultiple(`${insert(4)}; BEGIN; ${insert(5)}; ${insert(6)}; COMMIT`)
  await db.executeMultiple(`BEGIN; ${insert(90)}`)
  await db.migrate([insert(7)])
  await db.transaction(async (tx) => {
    await tx.execute(insert(8))
    await tx.execute('SAVEPOINT s')
    await tx.execute(insert(91))
    await tx.execute('ROLLBACK TO s')
  })
  const tx = await db.transaction('write')
  await tx.execute(insert(92))
  await tx.rollback()
  const lock = await node.lock('a', TTL)
  await db.execute(insert(9), [], { fence: lock })
  await lock.release()
  const fenced = { code: 'ERR_FENCED' }
  await assert.rejects(db.execute(insert(93), [], { fence: lock }), fenced)
  await assert.rejects(db.batch([insert(94)], { fence: lock }), fenced)
  const late = db.transaction((tx) => tx.execute(insert(95)), { fence: lock })
  await assert.rejects(late, fenced)
  await node.once('b', TTL, async () => {
    await db.execute(insert(10))
  })
  await assert.rejects(db.batch([insert(96), insert(1)]), { code: 'ERR_SQL' })
  await node.database('other').execute('CREATE TABLE u (a)')
  await node.dropDatabase('other')
}

const WRITTEN = [
  `main: ${SCHEMA} -> 1`,
  `main: ${insert(1)} -> 1`,
  `main: ${insert(2)}; ${insert(3)} -> 2`,
  `main: ${insert(4)} -> 1`,
  `main: ${insert(5)}; ${insert(6)} -> 2`,
  `main: ${insert(7)} -> 1`,
  `main: ${insert(8)}; SAVEPOINT s; ${insert(91)}; ROLLBACK TO s -> 4`,
  `main: ${insert(9)} -> 1`,
  `main: ${insert(10)} -> 1`,
  `main: ${insert(96)}; ${insert(1)} -> ERR_SQL`,
  'other: CREATE TABLE u (a) -> 1',
  `main: ${insert(11)} -> 1`,
  `main: ${insert(LAST)} -> 1`,
]

test('every way to write is told once, in order, on every node, and nothing else', async (t) => {
  const [first, second] = (await findFreePorts(2)).map((port) => `127.0.0.1:${port}`)
  const leader = await openHere(t, { bind: first, bootstrap: true })
  const follower = await openHere(t, { bind: second, join: first })
  const nodes = [leader, follower]
  const heard = nodes.map((node) => {
    const events: AppliedEvent[] = []
    node.on('applied', (event) => events.push(event))
    return events
  })
  const db = follower.database('main', { changes: true })
  await writeInEachWay(follower, db)
  const migrations = [{ version: 1, name: 'eleven', up: insert(11) }]
  for (const node of nodes) await node.migrate(migrations, { changes: true })
  await db.execute(insert(LAST))
  const ids = [...Array.from({ length: 11 }, (_, at) => at + 1), LAST]
  for (const [at, node] of nodes.entries()) {
    const events = heard[at] as AppliedEvent[]
    while (events.length < WRITTEN.length) await once(node, 'applied')
    assert.deepEqual(events.map(inShort), WRITTEN)
    const indexes = events.map(({ index }) => index)
    assert.deepEqual(
      indexes,
      indexes.toSorted((a, b) => a - b),
    )
    const told = await readAll(node.database())
    assert.deepEqual(told, ['schema', ...ids.map((id) => `insert ${id}`)])
  }
})

test('a migration that has run is no write when it is asked for again', async (t) => {
  const node = await openHere(t)
  const events: AppliedEvent[] = []
  node.on('applied', (event) => events.push(event))
  const migrations = [{ version: 1, name: 'first', up: `${SCHEMA}; ${insert(1)}` }]
  // All at once, so that each of them is an entry.
  await Promise.all([1, 2, 3].map(() => node.migrate(migrations, { changes: true })))
  await node.database().execute(insert(LAST))
  while (events.at(-1)?.statements[0]?.sql !== insert(LAST)) await once(node, 'applied')
  assert.deepEqual(events.map(inShort), [
    `main: ${SCHEMA}; ${insert(1)} -> 2`,
    `main: ${insert(LAST)} -> 1`,
  ])
  assert.deepEqual(await readAll(node.database()), ['schema', 'insert 1', `insert ${LAST}`])
})

test('a watched query is read anew from what was applied here, whatever was asked', async (t) => {
  const { node, engine, storage } = await openFake(t)
  const shared = new SharedState((engine.data as EngineWorkerData).shared)
  shared.publishMarks({ index: 0, atMs: Math.floor(processNowMs()), wallMs: Date.now() }, undefined)
  storage.answers.set('listen', (message) => {
    storage.say({ kind: 'listening', id: (message as unknown as { id: number }).id })
  })
  engine.answers.set('read', (message) => {
    const { id } = message as Extract<UserToEngine, { kind: 'read' }>
    engine.say({ kind: 'readAnswer', id, index: 0, error: null })
  })
  const db = node.database()
  const young = db.watch('SELECT 1', [], { maxStalenessMs: 60_000 })
  const strong = db.watch('SELECT 1', [], { consistency: 'strong' })
  const levels = async (): Promise<unknown[]> => {
    const answers = await Promise.all([young.next(), strong.next()])
    return answers.map(({ value }) => value?.consistency)
  }
  assert.deepEqual(await levels(), ['none', 'strong'])
  // Nothing is known of its age any more, and nobody may be asked.
  shared.publishMarks(undefined, undefined)
  engine.answers.delete('read')
  const touched = [{ database: 'main', tables: [], isSchemaChanged: true }]
  storage.say({ kind: 'hooks', news: { touched, writes: [], untoldIndex: null } })
  assert.deepEqual(await levels(), ['none', 'none'])
  await Promise.all([young.return(), strong.return()])
})

test('a watched query is not answered anew for what is only tried or refused', async (t) => {
  const node = await openHere(t)
  const db = node.database()
  await db.execute(SCHEMA)
  await using watch = db.watch<{ n: number }>('SELECT count(*) AS n FROM t')
  const next = async (): Promise<number | undefined> => (await watch.next()).value?.rows[0]?.n
  assert.equal(await next(), 0)
  await db.execute(insert(1))
  assert.equal(await next(), 1)
  const answer = next()
  const tx = await db.transaction('write')
  await tx.execute(insert(90))
  await tx.rollback()
  const lock = await node.lock('a', TTL)
  await lock.release()
  await assert.rejects(db.execute(insert(91), [], { fence: lock }), { code: 'ERR_FENCED' })
  await db.transaction((tx) => tx.execute(insert(2)))
  assert.equal(await answer, 2)
})
