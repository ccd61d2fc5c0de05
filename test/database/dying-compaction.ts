/** Applies a log in a process that is gone once a file is compacted, before that is noted. */
import type { StatementSync } from 'node:sqlite'
import { COMPACTION } from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import { type ConnectionSettings, Writer } from '../../src/sqlite/sqlite.ts'
import { applyAll, LogMaker, optionsFor } from './log-maker.ts'

/** Tables of every kind, with gaps in their rowids. */
export function fillLog(): LogMaker {
  const log = new LogMaker()
  log.register()
  log.write('app', [
    'CREATE TABLE plain (v)',
    'CREATE TABLE indexed (v, day)',
    'CREATE INDEX by_day ON indexed (date(day))',
    'CREATE TABLE keyed (v TEXT PRIMARY KEY)',
    'CREATE TABLE numbered (id INTEGER PRIMARY KEY AUTOINCREMENT, v)',
    'CREATE TABLE pairs (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
    'CREATE VIEW both AS SELECT v FROM plain UNION ALL SELECT v FROM keyed',
    'CREATE TRIGGER copied AFTER INSERT ON keyed BEGIN INSERT INTO pairs VALUES (new.v, 1); END',
    'CREATE VIRTUAL TABLE words USING fts5(body)',
    'CREATE TABLE late (v)',
    'PRAGMA user_version = 7',
  ])
  const values = JSON.stringify(Array.from({ length: 200 }, (_, at) => `v${at}`))
  const big = '|| hex(zeroblob(1000))'
  for (const insert of [
    `INSERT INTO plain SELECT value ${big} FROM json_each(?)`,
    `INSERT INTO indexed SELECT value, '2026-01-02' FROM json_each(?)`,
    `INSERT INTO keyed SELECT value FROM json_each(?)`,
    `INSERT INTO numbered (v) SELECT value FROM json_each(?)`,
    `INSERT INTO words SELECT value FROM json_each(?)`,
    `INSERT INTO late SELECT value FROM json_each(?)`,
  ]) {
    log.write('app', [[insert, values]])
  }
  for (const table of ['plain', 'indexed', 'keyed', 'numbered', 'late']) {
    log.write('app', [`DELETE FROM ${table} WHERE rowid % 10 <> 0`])
  }
  log.write('app', ['ANALYZE'])
  return log
}

/** And then a compaction. */
export function startLog(): LogMaker {
  const log = fillLog()
  log.write('app', [COMPACTION])
  return log
}

class Dying extends Writer {
  #isCompacted = false

  override own(sql: string): StatementSync {
    if (sql === 'VACUUM') this.#isCompacted = true
    return super.own(sql)
  }

  override begin(...args: Parameters<Writer['begin']>): void {
    if (this.#isCompacted) process.kill(process.pid, 'SIGKILL')
    super.begin(...args)
  }
}

if (import.meta.main) {
  const [directory = ''] = process.argv.slice(2)
  const openWriter = (path: string, options: ConnectionSettings): Writer => new Dying(path, options)
  applyAll(Replica.open(optionsFor(directory, { openWriter })), startLog())
}
