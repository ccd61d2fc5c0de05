/** A write that is void fails on every node alike, whatever was applied before, and when. */
import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { Replica } from '../../src/database/database.ts'
import { Writer } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  contentOf,
  createReplica,
  LogMaker,
  makeDirectory,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

/** Entry 4 is the one that is void. */
const VOID = 4

function startLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  log.write('app', ["INSERT INTO t (v) VALUES ('void')", "INSERT INTO t (v) VALUES ('void too')"])
  log.write('app', ["INSERT INTO t (v) VALUES ('behind')"])
  return log
}

test('none of its units runs, each is answered, and what is behind it has its place', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  replica.note.void(VOID)
  const results = resultsOf(replica.apply(log.entries))
  const answers = results.map(({ units }) =>
    units.map((unit) => (unit.ok ? 'ok' : unit.error.code)),
  )
  assert.deepEqual(answers, [['ok'], ['ERR_VOIDED', 'ERR_VOIDED'], ['ok']])
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [['behind']])
})

test('files that a loss of power took back fail it again', (context) => {
  const { directory, replica } = createReplica(context)
  const log = startLog()
  replica.apply(log.entries.slice(0, 2))
  replica.note.void(VOID)
  replica.close()
  const other = makeDirectory(context)
  cpSync(directory, other, { recursive: true })
  for (const path of [directory, other]) {
    const again = Replica.open(optionsFor(path))
    context.after(() => again.close())
    // Here in one group, there in several.
    if (path === other) for (const at of [3, 4, 5]) again.apply(log.after(at).slice(0, 1))
    else applyAll(again, log)
  }
  assert.equal(contentOf(directory, 'app'), contentOf(other, 'app'))
  assert.deepEqual(readRows(other, 'app', 'SELECT v FROM t'), [['behind']])
})

/** The second unit of a command; units are in transactions of their own where one has ANALYZE. */
const REST = "INSERT INTO t (v) VALUES ('rest')"

test('what is committed of its units stays, and the rest does not run', (context) => {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  log.write('app', ["INSERT INTO t (v) VALUES ('begun') /* ANALYZE */", REST])
  log.write('app', ["INSERT INTO t (v) VALUES ('behind')"])
  const { directory, replica } = createReplica(context, { openWriter: openDying })
  assert.throws(() => applyAll(replica, log), /as a bug would/)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  again.note.void(VOID)
  applyAll(again, log)
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [['begun'], ['behind']])
})

function openDying(...args: ConstructorParameters<typeof Writer>): Writer {
  return new Dying(...args)
}

/** What is no statement's failure ends the thread. */
class Dying extends Writer {
  #isDying = false

  override run(...args: Parameters<Writer['run']>): ReturnType<Writer['run']> {
    if (args[0] === REST) this.#isDying = true
    return super.run(...args)
  }

  override commit(): void {
    if (this.#isDying) throw new TypeError('as a bug would')
    super.commit()
  }
}

test('an entry that ends the thread twice is not tried again until it is void', (context) => {
  const log = new LogMaker()
  log.register()
  log.write('app', ['CREATE TABLE t (id INTEGER PRIMARY KEY, v)'])
  log.write('app', ["INSERT INTO t (v) VALUES ('before')"])
  log.write('app', [REST])
  log.write('app', ["INSERT INTO t (v) VALUES ('behind')"])
  const { directory, replica } = createReplica(context, { openWriter: openDying })
  // The first one names the group that it was in.
  assert.throws(() => applyAll(replica, log), /as a bug would/)
  replica.close()
  const again = (): Replica => Replica.open({ ...optionsFor(directory), openWriter: openDying })
  for (let death = 2; death <= 3; death += 1) {
    const dying = again()
    assert.throws(() => dying.apply(log.after(dying.appliedIndex)), /as a bug would/)
    dying.close()
  }
  const halted = again()
  context.after(() => halted.close())
  const index = log.entries.at(-2)?.index ?? 0
  const outcome = halted.apply(log.after(halted.appliedIndex))
  assert.deepEqual(outcome.halted?.quarantine, { index, unitsDone: 0, hold: null })
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [['before']])
  halted.note.void(index)
  const results = resultsOf(halted.apply(log.after(halted.appliedIndex)))
  assert.deepEqual(
    results.flatMap(({ units }) => units.map((unit) => (unit.ok ? 'ok' : unit.error.code))),
    ['ERR_VOIDED', 'ok'],
  )
  assert.deepEqual(readRows(directory, 'app', 'SELECT v FROM t'), [['before'], ['behind']])
})

test('it is not forgotten with the process', (context: TestContext) => {
  const { directory, replica } = createReplica(context)
  replica.note.void(7)
  replica.note.void(VOID)
  replica.note.void(7)
  replica.close()
  const again = Replica.open(optionsFor(directory))
  context.after(() => again.close())
  assert.deepEqual(
    [VOID, 5, 7].map((index) => again.note.isVoid(index)),
    [true, false, true],
  )
  assert.equal(again.note.lastVoid, 7)
})
