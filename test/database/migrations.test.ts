/** Numbered migrations as apply does them: each once, whoever sent it and however often. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { type CommandResult, decodeWrite, type Unit } from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  GENESIS,
  LogMaker,
  MEMBER,
  makeDirectory,
  ORIGIN,
  OTHER,
  optionsFor,
  readRows,
} from './log-maker.ts'

const ADD = 'INSERT INTO t VALUES (NULL)'
const NOTED = 'SELECT version, name, log_index, run_ms FROM _colmena_migrations'

/** The checksum is whatever the asker computes; here, of the SQL. */
function migration(version: number, sqls: readonly string[], name = `m${version}`): Unit {
  const checksum = createHash('sha256').update(sqls.join(';')).digest()
  return {
    statements: sqls.map((sql) => ({ sql, args: [] })),
    foreignKeysOff: true,
    migration: { version, name, checksum: new Uint8Array(checksum) },
  }
}

const FIRST = migration(1, ['CREATE TABLE t (id INTEGER PRIMARY KEY)', ADD])

function answers(results: readonly CommandResult[]): (string | number)[] {
  return results.flatMap(({ units }) =>
    units.map((unit) => (unit.ok ? unit.statements.length : unit.error.message)),
  )
}

/** A log of two origins, both registered. */
function begin(t: TestContext): { directory: string; replica: Replica; log: LogMaker } {
  const log = new LogMaker()
  log.register(MEMBER.memberId, ORIGIN)
  log.register(2, OTHER)
  return { ...createReplica(t), log }
}

test('a migration that comes from everybody at once runs once', (t) => {
  const { directory, replica, log } = begin(t)
  log.write('app', [FIRST])
  log.write('app', [FIRST], OTHER)
  log.write('app', [FIRST, FIRST, migration(2, [ADD])])
  log.write('app', [migration(2, [ADD])], OTHER)
  assert.deepEqual(answers(applyAll(replica, log)), [2, 0, 0, 1])
  assert.deepEqual(readRows(directory, 'app', 'SELECT id FROM t'), [[1n], [2n]])
  const [first, second] = [log.entries[2], log.entries[4]].map((entry) => ({
    index: BigInt(entry?.index ?? 0),
    ms: BigInt(decodeWrite(entry?.data as Uint8Array).environment.wallMs),
  }))
  assert.deepEqual(readRows(directory, 'app', NOTED), [
    [1n, 'm1', first?.index, first?.ms],
    [2n, 'm2', second?.index, second?.ms],
  ])
})

test('the note of a migration is in the transaction that runs it, also across a restart', (t) => {
  const { directory, replica, log } = begin(t)
  log.write('app', [FIRST])
  applyAll(replica, log)
  replica.close()
  log.write('app', [FIRST], OTHER)
  const again = Replica.open(optionsFor(directory))
  t.after(() => again.close())
  applyAll(again, log)
  assert.deepEqual(readRows(directory, 'app', 'SELECT count(*) FROM t'), [[1n]])
})

test('a migration that fails leaves neither itself nor its note, and can come again', (t) => {
  const { directory, replica, log } = begin(t)
  log.write('app', [FIRST])
  log.write('app', [migration(2, [ADD, 'INSERT INTO nowhere VALUES (1)'])])
  log.write('app', [migration(2, [ADD, ADD])])
  const [, failed, done] = answers(applyAll(replica, log))
  assert.match(String(failed), /no such table: nowhere/)
  assert.equal(done, 2)
  assert.deepEqual(readRows(directory, 'app', 'SELECT count(*) FROM t'), [[3n]])
})

test('a migration with other statements than have run is refused, and changes nothing', (t) => {
  const { directory, replica, log } = begin(t)
  log.write('app', [FIRST])
  log.write('app', [migration(1, [ADD], 'renamed')])
  const [, refused] = applyAll(replica, log)
  const [unit] = refused?.units ?? []
  assert.equal(unit?.ok === false && unit.error.code, 'ERR_MIGRATION_CONFLICT')
  assert.match(
    unit?.ok === false ? unit.error.message : '',
    /^migration 1 'renamed' is not what .* ran as 1 'm1' at index 4: .* was \w+ and is \w+/,
  )
  assert.deepEqual(readRows(directory, 'app', 'SELECT count(*) FROM t'), [[1n]])
})

test('a migration that would come before one that has run is refused', (t) => {
  const { directory, replica, log } = begin(t)
  log.write('app', [migration(3, ['CREATE TABLE t (id INTEGER PRIMARY KEY)'])])
  log.write('app', [migration(2, [ADD])])
  const [, refused] = answers(applyAll(replica, log))
  assert.match(String(refused), /migration 2 'm2' comes before 3 'm3', which the database has run/)
  assert.deepEqual(readRows(directory, 'app', 'SELECT count(*) FROM t'), [[0n]])
})

test('nodes are alike, whatever they applied together', (t) => {
  const { directory, replica, log } = begin(t)
  for (const origin of [ORIGIN, OTHER]) {
    log.write('app', [FIRST], origin)
    log.write('app', [ADD, FIRST, ADD], origin)
    log.write('app', [migration(2, [ADD, 'DELETE FROM t WHERE id = 1'])], origin)
  }
  applyAll(replica, log)
  const other = makeDirectory(t)
  const alone = Replica.create(optionsFor(other), GENESIS)
  t.after(() => alone.close())
  applyAll(alone, log, [1])
  assert.equal(contentOf(other, 'app'), contentOf(directory, 'app'))
  assert.deepEqual(readRows(other, 'app', NOTED), readRows(directory, 'app', NOTED))
  const digest = 'SELECT digest FROM _colmena_state'
  assert.deepEqual(readRows(other, 'app', digest), readRows(directory, 'app', digest))
})
