import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WriteEncoder } from '../../src/command/command.ts'
import { Replica } from '../../src/database/database.ts'
import { type EntryChanges, readFeed, readTellable } from '../../src/database/feed-reader.ts'
import { ApplyHooks } from '../../src/database/hooks.ts'
import { Reader, Writer } from '../../src/sqlite/sqlite.ts'
import {
  applyAll,
  createReplica,
  databasePath,
  LogMaker,
  ORIGIN,
  optionsFor,
  readRows,
  resultsOf,
} from './log-maker.ts'

const KEYED = 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)'

function startLog(keepsChanges = true): LogMaker {
  const log = new LogMaker()
  log.register()
  if (keepsChanges) log.changes = true
  log.write('app', [KEYED])
  return log
}

interface Feed {
  readonly since: number
  /** Null where the feed does not go back so far. */
  readonly entries: readonly EntryChanges[] | null
}

/** All pages of a database's feed after an index. */
function feedOf(directory: string, after = 0, generation = 1): Feed {
  const reader = new Reader(databasePath(directory, 'app', generation))
  try {
    const entries: EntryChanges[] = []
    for (let from = after; ; ) {
      const read = readFeed(reader, from)
      assert.ok(read !== null)
      if (read.page === null) return { since: read.state.since, entries: null }
      entries.push(...read.page.entries)
      if (read.page.isLast) return { since: read.state.since, entries }
      from = read.page.upTo
    }
  } finally {
    reader.close()
  }
}

/** Entries and keys of a feed's rows, in short. */
function shortOf({ entries }: Feed): string[] | null {
  return (
    entries?.flatMap(({ index, changes }) =>
      changes.flatMap((change) =>
        change.kind === 'schema'
          ? [`${index} schema`]
          : change.rows.map(
              ({ kind, before, after }) =>
                `${index} ${kind} ${change.table} ${(after ?? before)?.[0]}`,
            ),
      ),
    ) ?? null
  )
}

function randomLog(): LogMaker {
  const log = startLog()
  for (let step = 0; step < 60; step += 1) {
    const id = (step * 7) % 11
    log.write('app', [
      [`INSERT INTO t (id, v) VALUES (${step + 100}, hex(randomblob(4)))`],
      [`REPLACE INTO t (id, v) VALUES (${id}, ?)`, `v${step}`],
      [`INSERT INTO t (id, v) VALUES (${id}, 'fails')`],
      [`DELETE FROM t WHERE id = ${(step * 5) % 13}`],
    ])
    if (step % 20 === 9) log.write('app', [`ALTER TABLE t ADD COLUMN c${step}`])
    if (step % 20 === 14) log.write('app', ['ANALYZE', `UPDATE t SET v = v || ${step}`])
    if (step % 7 === 3)
      log.write('other', [step === 3 ? KEYED : `INSERT INTO t VALUES (${step}, 1)`])
  }
  return log
}

test('nodes keep the same feed, however they group, and over restarts', (context) => {
  const log = randomLog()
  const feeds = [[], [1], [3, 1, 7]].map((sizes) => {
    const { replica, directory } = createReplica(context)
    applyAll(replica, log, sizes)
    return feedOf(directory)
  })
  const [whole] = feeds
  assert.ok((whole?.entries?.length ?? 0) > 60)
  for (const feed of feeds) assert.deepEqual(feed, whole)
  const { replica, directory } = createReplica(context)
  let running = replica
  while (running.appliedIndex < log.lastIndex) {
    resultsOf(running.apply(log.after(running.appliedIndex).slice(0, 9)))
    running.bump(running.appliedIndex)
    running.close()
    running = Replica.open(optionsFor(directory))
  }
  running.close()
  assert.deepEqual(feedOf(directory), whole)
})

test('a feed read from any of its indexes goes on there', (context) => {
  const log = randomLog()
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  const { entries } = feedOf(directory)
  for (let index = 1; index <= log.lastIndex; index += 1) {
    const rest = feedOf(directory, index)
    if (index < 2) assert.equal(rest.entries, null)
    else
      assert.deepEqual(
        rest.entries,
        entries?.filter((entry) => entry.index > index),
      )
  }
})

test('what fails, what is refused and what is rolled back is not in the feed', (context) => {
  const log = startLog()
  log.write('app', [
    'INSERT INTO t VALUES (1, 1)',
    [
      { sql: 'INSERT INTO t VALUES (2, 2)', args: [] },
      { sql: 'CREATE TABLE undone (id)', args: [] },
      { sql: 'INSERT INTO t VALUES (1, 2)', args: [] },
    ],
    'INSERT OR ROLLBACK INTO t VALUES (3, 3), (1, 1)',
    'INSERT INTO t VALUES (4, 4)',
  ])
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  assert.deepEqual(shortOf(feedOf(directory)), ['3 schema', '4 insert t 1', '4 insert t 4'])
  // What was run and taken back is in no count either.
  const counted = 'SELECT changes_bytes - (SELECT sum(length(bytes)) FROM _colmena_changes)'
  assert.deepEqual(readRows(directory, 'app', `${counted} FROM _colmena_state`), [[0n]])
})

test('the parts of an entry are read when the last of them is applied', (context) => {
  const log = startLog()
  log.write('app', [
    'CREATE TABLE c (id INTEGER PRIMARY KEY REFERENCES t DEFERRABLE INITIALLY DEFERRED)',
    'INSERT INTO c VALUES (9)',
    'INSERT INTO t VALUES (7, 7)',
  ])
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  assert.deepEqual(shortOf(feedOf(directory)), ['3 schema', '4 schema', '4 insert t 7'])
  // As a crash between two parts leaves it.
  const rows = readRows(directory, 'app', 'SELECT id FROM _colmena_changes')
  assert.equal(rows.length, 3)
  replica.close()
  const writer = new Writer(databasePath(directory, 'app'))
  writer.begin()
  writer.own('UPDATE _colmena_state SET applied = 3').run()
  writer.commit()
  writer.close()
  assert.deepEqual(shortOf(feedOf(directory)), ['3 schema'])
})

test('beyond its bound a feed loses its oldest entries, and says so', (context) => {
  const log = startLog()
  for (let id = 1; id <= 40; id += 1)
    log.write('app', [[`INSERT INTO t VALUES (?, ?)`, BigInt(id), 'x'.repeat(100)]])
  const { replica, directory } = createReplica(context, {
    hooks: new ApplyHooks({ changesBytesMax: 1500 }),
  })
  applyAll(replica, log, [7])
  const { since } = feedOf(directory)
  assert.equal(feedOf(directory, since - 1).entries, null)
  const kept = feedOf(directory, since).entries
  assert.deepEqual(
    kept?.map(({ index }) => index),
    Array.from({ length: log.lastIndex - since }, (_, at) => since + 1 + at),
  )
  assert.ok(since > 20 && since < log.lastIndex - 5, `${since}`)
  const [[bytes] = []] = readRows(
    directory,
    'app',
    'SELECT sum(length(bytes)) FROM _colmena_changes',
  ) as [bigint][]
  assert.ok(bytes !== undefined && bytes <= 1500n && bytes > 1200n)
  // One that is larger than the bound by itself leaves nothing before it.
  const large = log.write('app', [['INSERT INTO t VALUES (99, ?)', 'x'.repeat(2000)]])
  log.write('app', ['DELETE FROM t WHERE id = 1'])
  applyAll(replica, log)
  assert.equal(feedOf(directory, large.index - 1).entries, null)
  assert.equal(feedOf(directory, large.index).entries?.length, 1)
})

test('a unit that can not be told whole begins the feed anew behind it', (context) => {
  const log = startLog()
  log.write('app', ['INSERT INTO t VALUES (1, 1)'])
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  const encoder = new WriteEncoder()
  const sqls = ['SAVEPOINT a', 'CREATE TABLE u (id)', 'ROLLBACK TO a']
  encoder.add({ statements: sqls.map((sql) => ({ sql, args: [] })) })
  const header = { origin: ORIGIN, database: 'app', sequence: 1 }
  const tried = { trial: { base: log.lastIndex, outcomes: [0, 0, 0] } }
  const trial = log.push(encoder.finish(header, tried))
  log.write('app', ['INSERT INTO t VALUES (2, 2)'])
  applyAll(replica, log)
  assert.equal(feedOf(directory, trial.index - 1).entries, null)
  assert.deepEqual(shortOf(feedOf(directory, trial.index)), [`${trial.index + 1} insert t 2`])
})

test('a database that was not made for it keeps changes while somebody listens', (context) => {
  const log = startLog(false)
  const hooks = new ApplyHooks()
  const { replica, directory } = createReplica(context, { hooks })
  const insert = (id: number): number => {
    const { index } = log.write('app', [`INSERT INTO t VALUES (${id}, 1)`])
    applyAll(replica, log)
    return index
  }
  const unheard = insert(1)
  assert.equal(feedOf(directory, unheard - 1).entries, null)
  assert.deepEqual(feedOf(directory, unheard).entries, [])
  hooks.ask({ watched: [], kept: ['app'] })
  assert.equal(feedOf(directory, unheard - 1).entries, null)
  const heard = insert(2)
  assert.equal(feedOf(directory, unheard - 1).entries, null)
  assert.deepEqual(shortOf(feedOf(directory, unheard)), [`${heard} insert t 2`])
  hooks.ask({ watched: [], kept: [] })
  const after = insert(3)
  assert.equal(feedOf(directory, heard).entries, null)
  assert.deepEqual(feedOf(directory, after).entries, [])
  assert.deepEqual(readRows(directory, 'app', 'SELECT * FROM _colmena_changes'), [])
})

test('a database made again after a drop does not go on with the feed before it', (context) => {
  const log = startLog()
  const last = log.write('app', ['INSERT INTO t VALUES (1, 1)'])
  log.drop('app', 1)
  log.write('app', [KEYED])
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  assert.equal(feedOf(directory, last.index).entries, null)
  assert.deepEqual(shortOf(feedOf(directory)), [`${log.lastIndex} schema`])
})

test('whether changes are kept is decided by the write that makes a database', (context) => {
  const log = startLog(true)
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  const ask = (changes: boolean | undefined): string[] => {
    log.changes = changes
    log.write('app', ["INSERT INTO t (v) VALUES ('x')"])
    return applyAll(replica, log).flatMap(({ units }) =>
      units.map((unit) => (unit.ok ? 'ok' : `${unit.error.code} ${unit.error.message}`)),
    )
  }
  assert.deepEqual(ask(true), ['ok'])
  assert.deepEqual(ask(undefined), ['ok'])
  assert.match(ask(false)[0] ?? '', /ERR_INVALID_OPTION .*changes false, but was made with true/)
  assert.equal(feedOf(directory).entries?.length, 3)
})

test('tables of which changes can be had whole are told from the others', (context) => {
  const log = new LogMaker()
  log.register()
  log.write('app', [
    'CREATE TABLE rowid_key (id INTEGER PRIMARY KEY, v)',
    'CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, v)',
    'CREATE TABLE text_key (id TEXT PRIMARY KEY)',
    'CREATE TABLE text_not_null (id TEXT PRIMARY KEY NOT NULL)',
    'CREATE TABLE two (a NOT NULL, b, PRIMARY KEY (a, b))',
    'CREATE TABLE Without_Rowid (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID',
    'CREATE TABLE no_key (a NOT NULL UNIQUE)',
    'CREATE VIRTUAL TABLE words USING fts5(a)',
    'CREATE VIEW v AS SELECT 1',
  ])
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  const reader = new Reader(databasePath(directory, 'app'))
  context.after(() => reader.close())
  assert.deepEqual(Object.fromEntries(readTellable(reader)), {
    rowid_key: true,
    descending: false,
    text_key: false,
    text_not_null: true,
    two: false,
    without_rowid: true,
    no_key: false,
    words: false,
  })
  // The list is held against what sessions really see of a row without its key.
  keepsEveryRow(context, ['rowid_key', 'descending', 'text_key'])
})

/** Inserts a row without a key into each table, and looks which of them a feed has. */
function keepsEveryRow(context: TestContext, tables: readonly string[]): void {
  const log = startLog()
  log.write('app', [
    'CREATE TABLE rowid_key (id INTEGER PRIMARY KEY, v)',
    'CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, v)',
    'CREATE TABLE text_key (id TEXT PRIMARY KEY, v)',
  ])
  const from = log.lastIndex
  log.write(
    'app',
    tables.map((table) => `INSERT INTO ${table} (v) VALUES (1)`),
  )
  const { replica, directory } = createReplica(context)
  applyAll(replica, log)
  assert.deepEqual(shortOf(feedOf(directory, from)), [`${from + 1} insert rowid_key 1`])
}

test('a snapshot brings the feed along, or what it jumped over is lost', async (context) => {
  for (const keepsChanges of [true, false]) {
    const log = startLog(keepsChanges)
    const hooks = new ApplyHooks()
    hooks.ask({ watched: ['app'], kept: ['app'] })
    const behind = createReplica(context, { hooks })
    log.write('app', ['INSERT INTO t VALUES (1, 1)'])
    applyAll(behind.replica, log)
    const position = log.lastIndex
    for (const id of [2, 3]) log.write('app', [`INSERT INTO t VALUES (${id}, 1)`])
    const ahead = createReplica(context)
    applyAll(ahead.replica, log)
    const snapshot = ahead.replica.pinSnapshot()
    assert.ok(snapshot)
    await snapshot.copyTo(join(behind.directory, '2'))
    snapshot.release()
    behind.replica.installGeneration(2, { index: snapshot.index })
    const received = feedOf(behind.directory, position, 2)
    if (keepsChanges) assert.deepEqual(received, feedOf(ahead.directory, position))
    else assert.equal(received.entries, null)
    const { index } = log.write('app', ['INSERT INTO t VALUES (4, 1)'])
    applyAll(behind.replica, log)
    assert.deepEqual(shortOf(feedOf(behind.directory, snapshot.index, 2)), [`${index} insert t 4`])
    const later = feedOf(behind.directory, position, 2)
    assert.equal(later.entries?.length, keepsChanges ? 3 : undefined)
  }
})
