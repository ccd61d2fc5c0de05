/** Leases in the cluster's own database, and writes that depend on them. */
import assert from 'node:assert/strict'
import { copyFileSync, rmSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import {
  type CommandResult,
  type LeaseAnswer,
  type LeaseRequest,
  leaseAnswer,
  leaseUnit,
} from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  databasePath,
  LogMaker,
  ORIGIN,
  OTHER,
  optionsFor,
  readRows,
} from './log-maker.ts'

const TTL_MS = 1000

function acquire(key: string, purpose: 'lock' | 'once' = 'lock', ttlMs = TTL_MS): LeaseRequest {
  return { what: 'acquire', purpose, key, ttlMs }
}

function renew(token: number): LeaseRequest {
  return { what: 'renew', token, ttlMs: TTL_MS }
}

function release(token: number): LeaseRequest {
  return { what: 'release', token }
}

/** A log in which both members write, and a table. */
function startLog(): LogMaker {
  const log = new LogMaker()
  log.register(1, ORIGIN)
  log.register(2, OTHER)
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  return log
}

interface Rig {
  readonly directory: string
  readonly replica: Replica
  readonly log: LogMaker
  /** Asks in an entry, `afterMs` after the last one. */
  readonly ask: (request: LeaseRequest, afterMs?: number) => LeaseAnswer
  /** Writes with a fence: the code of its refusal, or 'ok'. */
  readonly write: (fence: number | undefined, v: string, afterMs?: number) => string
}

function begin(context: TestContext): Rig {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  applyAll(replica, log)
  return {
    directory,
    replica,
    log,
    ask: (request, afterMs = 0) => {
      log.wallMs += afterMs
      log.leases([request])
      return answersOf(applyAll(replica, log))[0] as LeaseAnswer
    },
    write: (fence, v, afterMs = 0) => {
      log.wallMs += afterMs
      log.fence = fence
      log.write('app', [['INSERT INTO t (v) VALUES (?)', v]])
      return String(codesOf(applyAll(replica, log))[0])
    },
  }
}

function answersOf(results: readonly CommandResult[]): LeaseAnswer[] {
  return results
    .filter(({ database }) => database === 'system')
    .flatMap(({ units }) => units)
    .map((unit) => leaseAnswer(unit.ok ? unit.statements[0] : undefined))
}

function codesOf(results: readonly CommandResult[]): unknown[] {
  return results
    .filter(({ database }) => database === 'app')
    .flatMap(({ units }) => units)
    .map((unit) => (unit.ok ? 'ok' : unit.error.code))
}

function values(directory: string): unknown[] {
  return readRows(directory, 'app', 'SELECT v FROM t ORDER BY id').flat()
}

test('one has a lock at a time, and each one who gets it a higher token', (context) => {
  const { ask, log, replica } = begin(context)
  assert.deepEqual(ask(acquire('a')), { what: 'held', token: 1 })
  assert.deepEqual(ask(acquire('a'), 93), { what: 'busy', nodeId: 'one', leftMs: TTL_MS - 100 })
  assert.deepEqual(ask(acquire('b')), { what: 'held', token: 2 })
  assert.deepEqual(ask(acquire('a', 'once')), { what: 'held', token: 3 })
  log.leases([acquire('c'), acquire('c')])
  assert.deepEqual(
    answersOf(applyAll(replica, log)).map(({ what }) => what),
    ['held', 'busy'],
  )
  assert.deepEqual(ask(release(1)), { what: 'released' })
  assert.deepEqual(ask(release(1)), { what: 'ended' })
  assert.deepEqual(ask(acquire('a')), { what: 'held', token: 5 })
})

test('a lease ends by the time in the entries, unless it is renewed', (context) => {
  const { ask } = begin(context)
  ask(acquire('a'))
  assert.deepEqual(ask(renew(1), TTL_MS - 100), { what: 'held', token: 1 })
  assert.equal(ask(acquire('a'), TTL_MS - 100).what, 'busy')
  assert.deepEqual(ask(acquire('a'), 100), { what: 'held', token: 2 })
  assert.deepEqual(ask(renew(1)), { what: 'ended' })
  assert.equal(ask(renew(2)).what, 'held')
})

test('the clock of leases never goes back, whoever leads', (context) => {
  const { ask, log, replica } = begin(context)
  ask(acquire('a'))
  ask(acquire('b', 'lock', 60_000), TTL_MS)
  log.wallMs -= 10 * TTL_MS
  assert.deepEqual(ask(renew(1)), { what: 'ended' })
  const third = ask(acquire('a'))
  assert.deepEqual(third, { what: 'held', token: 3 })
  log.wallMs += 10 * TTL_MS + TTL_MS / 2
  assert.equal(ask(acquire('a')).what, 'busy')
  assert.equal(replica.appliedIndex, log.lastIndex)
})

test('a lease command counts once, and only of an origin that is registered', (context) => {
  const { log, replica } = begin(context)
  const unit = leaseUnit(acquire('a'))
  log.writeAt(1, 'system', [unit])
  log.writeAt(1, 'system', [unit])
  log.writeAt(3, 'system', [leaseUnit(acquire('b'))])
  log.writeAt(1, 'system', [leaseUnit(acquire('c'))], '9'.repeat(32))
  log.writeAt(2, 'system', [unit])
  assert.deepEqual(
    answersOf(applyAll(replica, log)).map(({ what }) => what),
    ['held', 'busy'],
  )
  log.writeAt(3, 'system', [leaseUnit(acquire('c'))])
  assert.deepEqual(answersOf(applyAll(replica, log)), [{ what: 'held', token: 2 }])
  const own = replica.ownSequences().find(({ database }) => database === 'system')
  assert.equal(own?.sequence, 3)
})

test('a unit that asks nothing of a lease is refused alone', (context) => {
  const { log, replica } = begin(context)
  log.write('system', ['DELETE FROM _colmena_leases', leaseUnit(acquire('a'))])
  const [result] = applyAll(replica, log)
  assert.deepEqual(
    result?.units.map((unit) => (unit.ok ? 'ok' : unit.error.code)),
    ['ERR_INVALID_ARGUMENT', 'ok'],
  )
})

test('a write with a fence applies while its lease is held', (context) => {
  const { ask, write, directory } = begin(context)
  ask(acquire('a'))
  assert.equal(write(1, 'held'), 'ok')
  ask(renew(1), TTL_MS - 100)
  assert.equal(write(1, 'renewed', TTL_MS - 100), 'ok')
  assert.equal(write(1, 'too late', 200), 'ERR_FENCED')
  assert.equal(write(undefined, 'unfenced'), 'ok')
  assert.deepEqual(ask(renew(1)), { what: 'ended' })
  assert.deepEqual(values(directory), ['held', 'renewed', 'unfenced'])
})

test('a lease that was released, lost or never given lets no write through', (context) => {
  const { ask, write, directory, log } = begin(context)
  ask(acquire('a'))
  ask(release(1))
  assert.equal(write(1, 'released'), 'ERR_FENCED')
  ask(acquire('a'))
  ask(acquire('a'), TTL_MS)
  log.wallMs -= TTL_MS
  assert.equal(write(2, 'lost, and the leader is behind'), 'ERR_FENCED')
  assert.equal(write(4, 'never given'), 'ERR_FENCED')
  assert.equal(write(3, 'held'), 'ok')
  assert.deepEqual(values(directory), ['held'])
})

/** Fenced writes about every way for a lease to end, as a log. */
function eventfulLog(): LogMaker {
  const log = startLog()
  const insert = (fence: number | undefined, v: string): void => {
    log.fence = fence
    log.write('app', [
      ['INSERT INTO t (v) VALUES (?)', v],
      ['INSERT INTO t (v) VALUES (?)', `${v}, second unit`],
    ])
  }
  insert(1, 'guessed')
  log.leases([acquire('a')])
  insert(1, 'held')
  log.leases([release(1)])
  insert(1, 'released')
  log.leases([acquire('a')])
  insert(2, 'held again')
  log.wallMs += TTL_MS - 100
  log.leases([renew(2)])
  log.wallMs += TTL_MS - 100
  insert(2, 'renewed')
  log.wallMs += 200
  insert(2, 'late')
  log.wallMs -= 2 * TTL_MS
  insert(2, 'late, and the leader is behind')
  log.leases([renew(2), acquire('a')], OTHER)
  insert(2, 'of another')
  insert(3, 'held by another')
  log.register(2, '7'.repeat(32), OTHER)
  insert(3, 'held by one that is gone')
  log.fence = undefined
  log.write('app', ['CREATE TABLE u (v REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)'])
  log.leases([acquire('b')])
  insert(4, 'alone')
  insert(3, 'alone, refused')
  return log
}

const EVENTFUL = ['held', 'held again', 'renewed', 'held by another', 'alone'].flatMap((v) => [
  v,
  `${v}, second unit`,
])

test('what a fence lets through does not depend on how entries are grouped', (context) => {
  const log = eventfulLog()
  const seen = [[], [1], [2, 3], [5, 1, 1]].map((sizes) => {
    const { directory, replica } = createReplica(context)
    applyAll(replica, log, sizes)
    assert.deepEqual(values(directory), EVENTFUL, `sizes ${sizes}`)
    replica.bump(replica.appliedIndex)
    const digest = replica.databases().find(({ name }) => name === 'app')?.digest
    return { content: contentOf(directory, 'app'), digest }
  })
  for (const one of seen) assert.deepEqual(one, seen[0])
})

test('a node that starts after a refused write tells what those tell that go on', (context) => {
  const log = eventfulLog()
  const { replica: other } = createReplica(context)
  for (const entry of log.entries) {
    other.apply([entry])
    const { directory, replica } = createReplica(context)
    replica.apply(log.entries.slice(0, log.entries.indexOf(entry) + 1))
    replica.close()
    const again = Replica.open(optionsFor(directory))
    const { index } = entry
    if (again.appliedIndex === index) {
      assert.deepEqual(again.digestsAt(index), other.digestsAt(index), `entry ${index}`)
    }
    again.close()
  }
})

test('a database that is behind after a crash gets the same answers in its replay', (context) => {
  const log = eventfulLog()
  for (let keptAt = 4; keptAt < log.lastIndex; keptAt += 1) {
    const { directory, replica } = createReplica(context)
    replica.apply(log.entries.slice(0, keptAt - 1))
    replica.close()
    const path = databasePath(directory, 'app')
    copyFileSync(path, `${path}.kept`)
    const first = Replica.open(optionsFor(directory))
    applyAll(first, log)
    first.close()
    for (const end of ['', '-wal', '-shm']) rmSync(`${path}${end}`, { force: true })
    copyFileSync(`${path}.kept`, path)
    const again = Replica.open(optionsFor(directory))
    assert.ok(again.appliedIndex < log.lastIndex)
    assert.equal(again.highestApplied, log.lastIndex)
    applyAll(again, log, [3])
    assert.deepEqual(values(directory), EVENTFUL, `kept at ${keptAt}`)
    again.close()
  }
})

test('what a process held ends once another open of its node is registered', (context) => {
  const { ask, log, replica } = begin(context)
  log.leases([acquire('a')], OTHER)
  applyAll(replica, log)
  assert.equal(ask(acquire('a')).what, 'busy')
  log.register(2, '7'.repeat(32), OTHER)
  const outcome = replica.apply(log.after(replica.appliedIndex))
  assert.deepEqual(outcome.endedLeases, ['lock/a'])
  assert.deepEqual(ask(acquire('a')), { what: 'held', token: 2 })
})

test('every node tells which leases an entry ended', (context) => {
  const { ask, log, replica } = begin(context)
  ask(acquire('a'))
  ask(acquire('b', 'once'))
  ask(acquire('c', 'lock', 60_000))
  log.leases([release(1)], OTHER)
  assert.deepEqual(replica.apply(log.after(replica.appliedIndex)).endedLeases, ['lock/a'])
  log.wallMs += TTL_MS
  log.leases([], OTHER)
  assert.deepEqual(replica.apply(log.after(replica.appliedIndex)).endedLeases, ['once/b'])
})

test('a result is had in place of the lease until its end, and then deleted', (context) => {
  const { ask, directory } = begin(context)
  const result = new Uint8Array([1, 2, 3])
  const rows = (): unknown => readRows(directory, 'system', 'SELECT key FROM _colmena_kept_results')
  ask(acquire('a', 'once'))
  assert.equal(ask(acquire('a', 'once')).what, 'busy')
  const kept = { isFailure: true, result, keepMs: 5000 }
  assert.deepEqual(ask({ what: 'finish', token: 1, ...kept }), { what: 'released' })
  const answer = ask(acquire('a', 'once'), 4900)
  assert.deepEqual(answer, { what: 'kept', isFailure: true, result })
  assert.deepEqual(rows(), [['a']])
  assert.deepEqual(ask(acquire('b'), 100), { what: 'held', token: 2 })
  assert.deepEqual(rows(), [])
  assert.deepEqual(ask(acquire('a', 'once')), { what: 'held', token: 3 })
  const nothing = { isFailure: true, result, keepMs: 0 }
  assert.deepEqual(ask({ what: 'finish', token: 3, ...nothing }), { what: 'released' })
  assert.deepEqual(ask({ what: 'finish', token: 3, ...kept }), { what: 'ended' })
  assert.deepEqual(ask(acquire('a', 'once')), { what: 'held', token: 4 })
})

test('ended leases are forgotten when no replay asks for them, and stay refused', (context) => {
  const { ask, write, replica, directory } = begin(context)
  const count = (): unknown => readRows(directory, 'system', 'SELECT token FROM _colmena_leases')
  ask(acquire('a'))
  ask(acquire('b'))
  ask(release(1))
  assert.deepEqual(count(), [[1n], [2n]])
  replica.makeDurable()
  assert.deepEqual(count(), [[2n]])
  assert.equal(write(1, 'forgotten'), 'ERR_FENCED')
  ask(release(2))
  replica.makeDurable()
  assert.deepEqual(count(), [])
  assert.deepEqual(ask(acquire('a')), { what: 'held', token: 3 })
})

test('leases and their clock outlive a restart', (context) => {
  const { ask, log, replica, directory } = begin(context)
  ask(acquire('a'))
  ask(acquire('b'), TTL_MS / 2)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  log.wallMs -= TTL_MS
  log.leases([acquire('a'), acquire('b'), renew(1)])
  assert.deepEqual(
    answersOf(applyAll(again, log)).map((answer) => answer.what),
    ['busy', 'busy', 'held'],
  )
})
