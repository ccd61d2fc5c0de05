/** A database is compacted by an entry of its own, on all nodes alike. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  COMPACTION,
  type CommandResult,
  type CompactedSizes,
  compactedSizes,
  decodeWrite,
  patchEnvironment,
  WriteEncoder,
} from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import { ApplyHooks } from '../../src/database/hooks.ts'
import { StatementWatch } from '../../src/database/statement-watch.ts'
import { type ConnectionSettings, Reader, requireSqlite, Writer } from '../../src/sqlite/sqlite.ts'
import { fillLog, startLog } from './dying-compaction.ts'
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
  resultsOf,
} from './log-maker.ts'

const SCHEMA = 'SELECT rowid, type, name, rootpage FROM sqlite_schema ORDER BY rowid'
const STATISTICS = 'SELECT rowid, * FROM sqlite_stat1'

/** All that any statement could see of a database, and what the nodes compare. */
function stateOf(directory: string, replica: Replica): unknown {
  const database = replica.databases().find(({ name }) => name === 'app')
  return {
    content: contentOf(directory, 'app'),
    schema: readRows(directory, 'app', SCHEMA),
    statistics: readRows(directory, 'app', STATISTICS),
    sequences: readRows(directory, 'app', 'SELECT rowid, * FROM sqlite_sequence'),
    digest: database?.digest,
    applied: database?.appliedIndex,
    checked: readRows(directory, 'app', 'PRAGMA integrity_check'),
  }
}

function rowids(directory: string, table: string): number[] {
  const rows = readRows(directory, 'app', `SELECT rowid FROM ${table} ORDER BY rowid`)
  return (rows as [bigint][]).map(([rowid]) => Number(rowid))
}

function upTo(count: number, step = 1): number[] {
  return Array.from({ length: count }, (_, at) => (at + 1) * step)
}

/** The last answer's, which must be that of a compaction. */
function sizesOf(results: readonly CommandResult[]): CompactedSizes {
  const unit = results.at(-1)?.units[0]
  assert.ok(unit?.ok)
  return compactedSizes(unit.statements[0])
}

function errorOf(results: readonly CommandResult[]): { code: string; message: string } {
  const unit = results.at(-1)?.units[0]
  assert.ok(unit !== undefined && !unit.ok)
  return unit.error
}

function fileBytes(directory: string): number {
  return fs.statSync(databasePath(directory, 'app')).size
}

function walBytes(directory: string): number {
  return fs.statSync(`${databasePath(directory, 'app')}-wal`).size
}

/** A replica that has applied the whole log, in groups of some size. */
function applied(context: TestContext, log: LogMaker, size: number): [string, Replica] {
  const { directory, replica } = createReplica(context)
  applyAll(replica, log, [size])
  return [directory, replica]
}

describe('a compaction', () => {
  it('gives room back, numbers anew the rows without any key, and no others', (context) => {
    const [directory] = applied(context, startLog(), 3)
    assert.deepEqual(rowids(directory, 'plain'), upTo(20))
    assert.deepEqual(rowids(directory, 'late'), upTo(20))
    for (const table of ['indexed', 'keyed', 'numbered']) {
      assert.deepEqual(rowids(directory, table), upTo(20, 10), table)
    }
    assert.equal(readRows(directory, 'app', "SELECT 1 FROM words WHERE words MATCH 'v7'").length, 1)
    assert.deepEqual(readRows(directory, 'app', 'PRAGMA user_version'), [[7n]])
    assert.deepEqual(readRows(directory, 'app', 'PRAGMA freelist_count'), [[0n]])
    assert.equal(walBytes(directory), 0)
  })

  it('tells what the files of this node took before and after it', (context) => {
    const { directory, replica } = createReplica(context)
    const log = startLog()
    const { beforeBytes, afterBytes } = sizesOf(applyAll(replica, log))
    assert.ok(beforeBytes > 2 * afterBytes, `${beforeBytes} and then ${afterBytes}`)
    assert.equal(afterBytes, fileBytes(directory))
  })

  it('comes to the same however entries are grouped, whatever a node listens for', (context) => {
    const log = startLog()
    log.write('app', ["INSERT INTO plain VALUES ('new')", "INSERT INTO keyed VALUES ('new')"])
    log.write('app', ['DELETE FROM plain WHERE rowid = 3'])
    log.write('app', [COMPACTION])
    log.write('app', ["INSERT INTO plain VALUES ('last')"])
    const states = [1, 2, 1_000].map((size) => stateOf(...applied(context, log, size)))
    const hooks = new ApplyHooks({ tellsWrites: () => true })
    hooks.ask({ watched: ['app'], kept: ['app'] })
    const listening = createReplica(context, { hooks })
    applyAll(listening.replica, log, [2])
    states.push(stateOf(listening.directory, listening.replica))
    for (const state of states) assert.deepEqual(state, states[0])
  })

  it('is done again by whom it killed before it was noted, to the same end', (context) => {
    const log = startLog()
    const expected = stateOf(...applied(context, log, 1_000))
    const { directory, replica } = createReplica(context)
    replica.close()
    dieCompacting(directory)
    assert.deepEqual(rowids(directory, 'plain'), upTo(20), 'it was compacted')
    const again = Replica.open(optionsFor(directory))
    context.after(() => again.close())
    assert.ok(again.appliedIndex < log.lastIndex, 'and that was not noted')
    applyAll(again, log)
    assert.deepEqual(stateOf(directory, again), expected)
  })

  it('that killed the process twice is not tried a third time', (context) => {
    const { directory, replica } = createReplica(context)
    replica.close()
    for (const _ of [1, 2]) dieCompacting(directory)
    const again = Replica.open(optionsFor(directory))
    context.after(() => again.close())
    const log = startLog()
    const { halted } = again.apply(log.after(again.appliedIndex))
    assert.match(halted?.error.message ?? '', new RegExp(`died twice .* entry ${log.lastIndex},`))
  })

  it('halts on trouble of this machine with the file as it was, and is tried again', (context) => {
    const log = startLog()
    const expected = stateOf(...applied(context, log, 1_000))
    let writer: Full | undefined
    const openWriter = (path: string, options: ConnectionSettings): Writer => {
      const opened = new Full(path, options)
      if (path.endsWith('app.db')) writer = opened
      return opened
    }
    const { directory, replica } = createReplica(context, { openWriter })
    const compaction = log.lastIndex
    assert.equal(replica.apply(log.entries.slice(0, -1)).halted, null)
    const before = contentOf(directory, 'app')
    assert.ok(writer !== undefined)
    writer.isFull = true
    for (let tries = 0; tries < 2; tries += 1) {
      const { halted } = replica.apply(log.after(replica.appliedIndex))
      assert.equal(halted?.retry, 'pause')
      assert.equal(halted.isDivergent, false)
      assert.match(halted.error.message, new RegExp(`app\\.db, entry ${compaction}: .*full`))
      assert.equal(contentOf(directory, 'app'), before)
    }
    writer.isFull = false
    assert.ok(sizesOf(resultsOf(replica.apply(log.after(replica.appliedIndex)))).afterBytes > 0)
    assert.deepEqual(stateOf(directory, replica), expected)
  })

  it('hides nothing that another program wrote just before it failed', (context) => {
    let hasStranger = false
    class Dropping extends Writer {
      #drops = 0

      /** A disk that is full under the page cache: SQLite drops it and moves its version. */
      override own(sql: string): ReturnType<Writer['own']> {
        if (sql !== 'VACUUM') return super.own(sql)
        this.#drops += 1
        throw fullDisk()
      }

      override dataVersion(): number {
        return super.dataVersion() + this.#drops
      }

      override commit(): void {
        super.commit()
        if (!hasStranger || !this.path.endsWith('app.db')) return
        const stranger = new (requireSqlite().DatabaseSync)(this.path)
        stranger.exec('DELETE FROM late')
        stranger.close()
      }
    }
    const openWriter = (path: string, options: ConnectionSettings): Writer =>
      new Dropping(path, options)
    for (const isTouched of [false, true]) {
      hasStranger = false
      const { replica } = createReplica(context, { openWriter })
      const log = fillLog()
      applyAll(replica, log)
      log.write('app', ["INSERT INTO plain VALUES ('before')"])
      log.write('app', [COMPACTION])
      hasStranger = isTouched
      const halts = [1, 2].map(() => replica.apply(log.after(replica.appliedIndex)).halted)
      assert.deepEqual(
        halts.map((halted) => halted?.isDivergent),
        [false, isTouched],
      )
    }
  })

  it('that SQLite itself can not do is an answer, the same everywhere', (context) => {
    const { directory, replica } = createReplica(context)
    const log = startLog()
    replica.apply(log.entries.slice(0, -1))
    replica.close()
    // What only an older SQLite would have taken.
    const file = new (requireSqlite().DatabaseSync)(databasePath(directory, 'app'), {
      enableDoubleQuotedStringLiterals: true,
    })
    file.exec('CREATE TABLE old (v CHECK (v <> "text"))')
    file.close()
    const again = Replica.open(optionsFor(directory))
    context.after(() => again.close())
    const before = contentOf(directory, 'app')
    assert.equal(errorOf(applyAll(again, log)).code, 'ERR_SQL')
    assert.equal(contentOf(directory, 'app'), before)
    log.write('app', ["INSERT INTO plain VALUES ('more')"])
    assert.equal(applyAll(again, log)[0]?.units[0]?.ok, true)
  })

  it('does nothing while engines differ, which the log alone decides', (context) => {
    const log = fillLog()
    log.register(2, OTHER, '', 'two')
    log.write('app', [COMPACTION])
    const { directory, replica } = createReplica(context)
    assert.equal(errorOf(applyAll(replica, log)).code, 'ERR_MIXED_ENGINES')
    assert.deepEqual(rowids(directory, 'plain'), upTo(20, 10))
    log.register(2, '1'.repeat(32), OTHER, 'one')
    log.write('app', [COMPACTION])
    sizesOf(applyAll(replica, log))
    assert.deepEqual(rowids(directory, 'plain'), upTo(20))
    assert.deepEqual(stateOf(...applied(context, log, 1)), stateOf(directory, replica))
  })

  it('makes no database, and what follows it in its sequence does', (context) => {
    const { replica } = createReplica(context)
    const log = new LogMaker()
    log.register()
    log.write('none', [COMPACTION])
    const { code, message } = errorOf(applyAll(replica, log))
    assert.match(`${code}: ${message}`, /ERR_NOT_FOUND: .*no database 'none'/)
    assert.equal(
      replica.databases().some(({ name }) => name === 'none'),
      false,
    )
    log.writeAt(1, 'none', [COMPACTION])
    log.write('none', ['CREATE TABLE t (v)'])
    const [created, ...others] = applyAll(replica, log)
    assert.equal(created?.units[0]?.ok, true)
    assert.deepEqual(others, [], 'the one that came twice is answered once')
    log.drop('none', 1)
    log.write('none', [COMPACTION])
    log.write('none', ['CREATE TABLE t (v)'])
    const [gone, made] = applyAll(replica, log)
    assert.equal(gone?.units[0]?.ok, false)
    assert.equal(made?.units[0]?.ok, true)
  })

  it('counts as a write: a transaction that was tried before it is over', (context) => {
    const { directory, replica } = createReplica(context)
    const log = fillLog()
    applyAll(replica, log)
    const environment = { wallMs: log.wallMs, seedHigh: 1, seedLow: 2 }
    const begins = { environment, base: null }
    const statements = [{ sql: "INSERT INTO plain VALUES ('tried')", args: [] }]
    const step = { database: 'app', key: 'k', begins, statements }
    const { base } = replica.trials.step(step)
    log.write('app', [COMPACTION])
    sizesOf(applyAll(replica, log))
    assert.throws(() => replica.trials.step({ ...step, begins: null }), /another write/)
    const encoder = new WriteEncoder()
    encoder.add({ statements })
    const header = { origin: ORIGIN, database: 'app', sequence: 99 }
    const bytes = encoder.finish(header, { trial: { base, outcomes: [1] } })
    patchEnvironment(bytes, environment)
    log.push(bytes)
    assert.equal(errorOf(applyAll(replica, log)).code, 'ERR_TX_ABORTED')
    assert.deepEqual(rowids(directory, 'plain'), upTo(20))
  })

  it('is no row that changed; who watches looks again', (context) => {
    const hooks = new ApplyHooks()
    hooks.ask({ watched: ['app'], kept: ['app'] })
    const { directory, replica } = createReplica(context, { hooks })
    const log = fillLog()
    applyAll(replica, log)
    hooks.take()
    hooks.taken()
    const kept = (): unknown => readRows(directory, 'app', 'SELECT id FROM _colmena_changes')
    const before = kept()
    log.write('app', [COMPACTION])
    applyAll(replica, log)
    assert.deepEqual(kept(), before)
    assert.deepEqual(hooks.take()?.touched, [
      { database: 'app', tables: [], isSchemaChanged: true },
    ])
    log.write('app', ["INSERT INTO keyed VALUES ('after')"])
    applyAll(replica, log)
    assert.equal((kept() as unknown[]).length, (before as unknown[]).length + 1)
  })

  it('goes on beside a reader, which sees what it saw, and then what is there', (context) => {
    const { directory, replica } = createReplica(context)
    const log = fillLog()
    applyAll(replica, log)
    const reader = new Reader(databasePath(directory, 'app'))
    context.after(() => reader.close())
    const sql = 'SELECT rowid, v FROM late ORDER BY rowid'
    const all = reader.query(sql, []).rows
    const open = reader.internal(() => reader.own('SELECT rowid FROM late').iterate())
    assert.deepEqual([open.next().value], [[10n]])
    log.write('app', [COMPACTION])
    const { afterBytes } = sizesOf(applyAll(replica, log))
    assert.ok(afterBytes > fileBytes(directory), 'the reader is in the way of the last step')
    assert.deepEqual([...open].length, all.length - 1, 'of the rows as they were')
    assert.deepEqual(
      reader.query(sql, []).rows.map(([rowid, v]) => [rowid, v]),
      all.map(([, v], at) => [BigInt(at + 1), v]),
    )
    const bounds = { checkpointBytes: 1, bytesMax: 1_000_000_000, restMsMax: 0 }
    replica.checkpoint(bounds)
    log.write('app', ["INSERT INTO plain VALUES ('x')"])
    applyAll(replica, log)
    assert.ok(walBytes(directory) < 30_000, 'the write-ahead file began anew')
    assert.ok(fileBytes(directory) <= afterBytes / 2)
  })

  it('is timed as a statement, and named while it runs', (context) => {
    const running: string[] = []
    let nowMs = 0
    const later = (): number => {
      nowMs += 5
      return nowMs
    }
    const watch = new StatementWatch(1, later, ({ index, unit, statement }) => {
      running.push(`${index} ${unit} ${statement}`)
    })
    const { replica } = createReplica(context, { watch })
    const log = startLog()
    applyAll(replica, log)
    assert.equal(running.at(-1), `${log.lastIndex} 0 0`)
    const slow = watch.take().find(({ sql }) => sql === 'VACUUM')
    assert.equal(slow?.index, log.lastIndex)
    assert.equal(slow.database, 'app')
  })

  it('has its command for itself', () => {
    const header = { origin: ORIGIN, database: 'app', sequence: 1 }
    for (const units of [
      [COMPACTION, COMPACTION],
      [{ statements: [] }, COMPACTION],
      [{ ...COMPACTION, statements: [{ sql: 'SELECT 1', args: [] }] }],
    ]) {
      const encoder = new WriteEncoder()
      for (const unit of units) encoder.add(unit)
      assert.throws(() => decodeWrite(encoder.finish(header)), /a compaction beside/)
    }
  })
})

/** In a process of its own, before it is noted that it is done. */
function dieCompacting(directory: string): void {
  const script = fileURLToPath(new URL('./dying-compaction.ts', import.meta.url))
  const child = spawnSync(process.execPath, [script, directory])
  assert.equal(child.signal, 'SIGKILL', child.stderr.toString())
}

/** A disk without room for the file while it is written anew, where that is said. */
class Full extends Writer {
  isFull = false

  override own(sql: string): ReturnType<Writer['own']> {
    if (sql === 'VACUUM' && this.isFull) throw fullDisk()
    return super.own(sql)
  }
}

function fullDisk(): Error {
  const error = new Error('database or disk is full')
  return Object.assign(error, { code: 'ERR_SQLITE_ERROR', errcode: 13 })
}
