import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  MEMBER,
  ORIGIN,
  OTHER,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

test('commands of a registered origin apply, and their results come back', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.empty()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'])
  log.write('app', [
    ['INSERT INTO t (v) VALUES (?)', 'a'],
    ['INSERT INTO t (v) VALUES (?) RETURNING id, v', 'b'],
  ])
  const outcome = replica.apply(log.entries)
  const results = resultsOf(outcome)
  assert.deepEqual(
    results.map(({ sequence, index }) => [sequence, index]),
    [
      [1, 4],
      [2, 5],
    ],
  )
  const [first, second] = results[1]?.units ?? []
  assert.ok(first?.ok && second?.ok)
  assert.equal(first.statements[0]?.rowsAffected, 1)
  assert.equal(first.statements[0]?.lastInsertRowid, 1n)
  assert.deepEqual(second.statements[0]?.rows, [[2n, 'b']])
  assert.deepEqual(outcome.ownSequences, [{ database: 'app', sequence: 2 }])
  assert.equal(outcome.ownOrigin, 'registered')
  assert.equal(outcome.databasesChanged, true)
  assert.equal(outcome.appliedIndex, 5)
  assert.equal(replica.appliedIndex, 5)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t ORDER BY id'), [['a'], ['b']])
})

const COUNT = 'SELECT count(*) FROM t'

function startLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  return log
}

test('duplicates and gaps do nothing, and give no results', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  log.writeAt(2, 'app', ['INSERT INTO t (v) VALUES (1)'])
  log.writeAt(2, 'app', ['INSERT INTO t (v) VALUES (1)'])
  log.writeAt(1, 'app', ['INSERT INTO t (v) VALUES (1)'])
  log.writeAt(4, 'app', ['INSERT INTO t (v) VALUES (4)'])
  log.writeAt(3, 'app', ['INSERT INTO t (v) VALUES (3)'])
  log.writeAt(4, 'app', ['INSERT INTO t (v) VALUES (4)'])
  const results = applyAll(replica, log, [1, 2])
  assert.deepEqual(
    results.map(({ sequence, index }) => [sequence, index]),
    [
      [1, 3],
      [2, 4],
      [3, 8],
      [4, 9],
    ],
  )
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t ORDER BY id'), [[1n], [3n], [4n]])
})

test('an empty command keeps its place in the sequence', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  log.write('app', [])
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  assert.deepEqual(
    applyAll(replica, log).map(({ units }) => units.length),
    [1, 0, 1],
  )
  assert.deepEqual(readRows(directory, 'app', COUNT), [[1n]])
})

test('origins that are not registered, or retired, change nothing', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.writeAt(1, 'early', ['CREATE TABLE t (v)'])
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  log.writeAt(1, 'app', ['INSERT INTO t (v) VALUES (1)'], OTHER)
  log.register(1, OTHER, ORIGIN)
  log.write('app', ['INSERT INTO t (v) VALUES (2)'])
  log.writeAt(1, 'app', ['INSERT INTO t (v) VALUES (3)'], OTHER)
  const results = applyAll(replica, log)
  assert.equal(results.length, 1)
  assert.equal(replica.ownOrigin, 'retired')
  assert.equal(replica.originOf(1), OTHER)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [[3n]])
  assert.deepEqual(
    replica.databases().map(({ name }) => name),
    ['system', 'app'],
  )
})

test('a registration counts only in place of the present one, and for a member', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  const third = '1'.repeat(32)
  log.register()
  log.register(1, OTHER, third)
  applyAll(replica, log)
  assert.equal(replica.originOf(1), ORIGIN)
  log.register(1, OTHER, ORIGIN)
  log.register(1, ORIGIN, '')
  log.register(1, ORIGIN, OTHER)
  log.register(9, third, '')
  applyAll(replica, log)
  assert.equal(replica.originOf(1), OTHER)
  assert.equal(replica.originOf(9), '')
})

test('the current origin of a member says what it runs SQL with', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register(1, ORIGIN, '', 'old')
  log.register(2, OTHER, '', 'old')
  log.register(1, '1'.repeat(32), ORIGIN, 'new')
  const outcome = replica.apply(log.entries)
  assert.equal(outcome.originsChanged, true)
  const expected = [
    [1, 'new'],
    [2, 'old'],
  ]
  assert.deepEqual([...replica.fingerprints].sort(), expected)
  log.empty()
  assert.equal(replica.apply(log.after(outcome.appliedIndex)).originsChanged, false)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  assert.deepEqual([...again.fingerprints].sort(), expected)
})

test('two commands in one group each count on what the other left', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  log.write('app', [['INSERT INTO t (v) VALUES (?)', 'x']])
  log.write('app', ['UPDATE t SET v = 1', 'DELETE FROM t RETURNING v'])
  const units = applyAll(replica, log).at(-1)?.units ?? []
  assert.ok(units[0]?.ok && units[1]?.ok)
  assert.equal(units[0].statements[0]?.rowsAffected, 1)
  assert.deepEqual(units[1].statements[0]?.rows, [[1n]])
})

test('what an earlier process applied is not applied again', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  applyAll(replica, log)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  // The system's file had no part in the last entry's group, so it is the lowest or equal.
  assert.ok(again.appliedIndex <= log.lastIndex)
  assert.equal(again.highestApplied, log.lastIndex)
  log.write('app', ['INSERT INTO t (v) VALUES (2)'])
  assert.equal(applyAll(again, log).length, 1)
  assert.deepEqual(readRows(directory, 'app', COUNT), [[2n]])
  assert.deepEqual(again.ownSequences(), [{ database: 'app', sequence: 3 }])
})

test('a configuration change is kept with its index, its members and their origins', (context) => {
  const { directory, replica } = createReplica(context)
  const log = new LogMaker()
  log.register(1, ORIGIN)
  log.register(2, OTHER)
  log.change({ transition: 'auto', changes: [{ type: 'addLearner', id: 3 }] }, [
    { memberId: 3, nodeId: 'three', address: 'host:3', wantedRole: 'voter' },
    { memberId: 7, nodeId: 'stray', address: '', wantedRole: 'voter' },
  ])
  const outcome = replica.apply(log.entries)
  assert.equal(outcome.confIndex, 4)
  assert.deepEqual(replica.confState.learners, [3])
  assert.deepEqual(
    replica.members.map(({ memberId }) => memberId),
    [1, 2, 3],
  )
  log.change({ transition: 'auto', changes: [{ type: 'removeNode', id: 2 }] })
  log.register(2, '2'.repeat(32), '')
  log.writeAt(1, 'app', ['CREATE TABLE t (v)'], OTHER)
  applyAll(replica, log)
  assert.equal(replica.confIndex, 5)
  assert.equal(replica.originOf(2), '')
  assert.equal(replica.databases().length, 1)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  assert.deepEqual(again.confState, { ...replica.confState, voters: [1], learners: [3] })
  assert.equal(again.confIndex, 5)
  assert.deepEqual(again.members[1], {
    memberId: 3,
    nodeId: 'three',
    address: 'host:3',
    wantedRole: 'voter',
  })
})

test('the empty change of a leader that leaves a joint configuration is understood', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  const changes = [{ type: 'addNode', id: 3 } as const, { type: 'removeNode', id: 2 } as const]
  log.change({ transition: 'jointImplicit', changes }, [{ ...MEMBER, memberId: 3 }])
  applyAll(replica, log)
  assert.deepEqual(replica.confState.votersOutgoing, [1, 2])
  assert.deepEqual(
    replica.members.map(({ memberId }) => memberId),
    [1, 2, 3],
  )
  log.push(new Uint8Array(0), 'confChangeV2')
  applyAll(replica, log)
  assert.deepEqual(replica.confState, {
    voters: [1, 3],
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  })
  assert.deepEqual(
    replica.members.map(({ memberId }) => memberId),
    [1, 3],
  )
})

test('the frozen clock of a database never goes back', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  log.wallMs = 2_000_000_000_000
  log.write('app', ["INSERT INTO t (v) VALUES (unixepoch('now'))"])
  log.wallMs = 1_000_000_000_000
  log.write('app', ["INSERT INTO t (v) VALUES (unixepoch('now'))"])
  applyAll(replica, log, [1])
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [[2000000000n], [2000000000n]])
})

test('our own tables are out of reach for statements of users', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  const refused = [
    'DELETE FROM _colmena_state',
    'UPDATE _colmena_sequences SET last = 0',
    'DROP TABLE _colmena_state',
    'CREATE TABLE _colmena_mine (v)',
    'ALTER TABLE t RENAME TO _colmena_t',
    'CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM _colmena_sequences; END',
  ]
  log.write('app', refused)
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  const results = applyAll(replica, log)
  for (const [position, unit] of (results[1]?.units ?? []).entries()) {
    const code = unit.ok ? '' : unit.error.code
    // A trigger may be made, but never fires: either way it is refused.
    assert.equal(code, 'ERR_REFUSED_SQL', refused[position])
  }
  assert.equal(results[2]?.units[0]?.ok, true)
  assert.deepEqual(replica.ownSequences(), [{ database: 'app', sequence: 3 }])
})

test('a write to a name that no database can have is answered, and changes nothing', (context) => {
  const { replica } = createReplica(context)
  const log = new LogMaker()
  log.register()
  log.write('../up', ['CREATE TABLE t (v)'])
  log.write('system', ['CREATE TABLE t (v)'])
  const units = applyAll(replica, log).flatMap((result) => result.units)
  assert.deepEqual(
    units.map((unit) => !unit.ok && unit.error.code),
    ['ERR_INVALID_ARGUMENT', 'ERR_INVALID_ARGUMENT'],
  )
  assert.equal(replica.databases().length, 1)
})

test('an entry that can not be read halts apply before it, and is not guessed at', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  const bytes = log.write('app', ['INSERT INTO t (v) VALUES (1)']).data.slice()
  // The format version of the envelope.
  bytes[2] = 99
  log.push(bytes)
  const outcome = replica.apply(log.entries)
  assert.match(outcome.halted?.error.message ?? '', /format 99/)
  assert.equal(replica.appliedIndex, 1)
  assert.equal(resultsOf(replica.apply(log.entries.slice(0, -1))).length, 2)
})

test('idle databases follow when they are asked to, and then nothing is replayed', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  log.write('idle', ['CREATE TABLE t (v)'])
  for (let i = 0; i < 20; i += 1) log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  applyAll(replica, log, [3])
  replica.close()
  const lagging = Replica.open(optionsFor(directory))
  assert.ok(lagging.appliedIndex < log.lastIndex - 15)
  applyAll(lagging, log)
  assert.equal(lagging.makeDurable(), log.lastIndex)
  lagging.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  assert.equal(again.appliedIndex, log.lastIndex)
  assert.equal(again.appliedTerm, 1)
  assert.deepEqual(readRows(directory, 'app', COUNT), [[20n]])
})

test('a bump passes over what is not applied here', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  replica.bump(log.lastIndex + 5)
  assert.equal(replica.highestApplied, log.lastIndex)
  assert.equal(replica.makeDurable(), log.lastIndex)
})

test('retired origins are forgotten once no file can need them any more', (context) => {
  const { replica } = createReplica(context)
  const log = startLog()
  log.register(1, OTHER, ORIGIN)
  applyAll(replica, log)
  assert.equal(replica.origins.length, 2)
  replica.makeDurable()
  assert.deepEqual(
    replica.origins.map(({ origin }) => origin),
    [OTHER],
  )
  log.write('app', ['INSERT INTO t (v) VALUES (1)'])
  log.writeAt(1, 'app', ['INSERT INTO t (v) VALUES (1)'])
  assert.equal(applyAll(replica, log).length, 0)
  assert.deepEqual(replica.ownSequences(), [])
})

test('equal logs give equal content and digests on two nodes', (context) => {
  const first = createReplica(context)
  const second = createReplica(context, { ownOrigin: OTHER })
  const log = startLog()
  for (let i = 0; i < 10; i += 1) {
    log.write('app', ["INSERT INTO t (v) VALUES (random() || datetime('now'))"])
  }
  applyAll(first.replica, log)
  assert.deepEqual(applyAll(second.replica, log, [3]), [])
  assert.equal(contentOf(first.directory, 'app'), contentOf(second.directory, 'app'))
  const digests = [first, second].map(({ replica }) => replica.databases()[1]?.digest)
  assert.equal(digests[0], digests[1])
  assert.notEqual(digests[0], 0n)
})
