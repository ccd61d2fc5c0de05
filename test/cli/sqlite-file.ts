/** Files with what people have in theirs, and what is in a file. */
import type { DatabaseSync } from 'node:sqlite'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'

/** What of SQLite is easily lost on the way. */
export const IDIOMS: string = `
  PRAGMA user_version = 17; PRAGMA application_id = 99;
  CREATE TABLE keyed (a TEXT, b INT, c, PRIMARY KEY (b, a)) WITHOUT ROWID;
  INSERT INTO keyed VALUES ('x', 2, NULL), ('a', 2, 1.5), ('b', 1, x'00');
  CREATE TABLE strict (i INTEGER, r REAL, t TEXT, b BLOB, a ANY) STRICT;
  INSERT INTO strict VALUES (9223372036854775807, 1.0, 'x', x'ff', 1),
    (-9223372036854775808, 9e999, '', x'', '1'), (0, -9e999, 'é', NULL, 1.0);
  CREATE TABLE computed (a INT, v INT AS (a * 2) VIRTUAL, s TEXT AS (a || '!') STORED, b);
  INSERT INTO computed (a, b) VALUES (1, 2), (3, 4);
  CREATE TABLE docs (id INTEGER PRIMARY KEY, title, body);
  INSERT INTO docs VALUES (1, 'one', 'bees fly'), (5, 'five', 'bees sleep');
  CREATE VIRTUAL TABLE found USING fts5 (title, body, content = 'docs', content_rowid = 'id');
  INSERT INTO found (found) VALUES ('rebuild');
  CREATE TRIGGER indexed AFTER INSERT ON docs BEGIN
    INSERT INTO found (rowid, title, body) VALUES (new.id, new.title, new.body);
  END;
  CREATE VIRTUAL TABLE words USING fts5 (x, y UNINDEXED, tokenize = 'porter');
  INSERT INTO words (rowid, x, y) VALUES (7, 'running bees', 'u'), (-3, 'swarm', NULL);
  INSERT INTO words (words, rank) VALUES ('rank', 'bm25(10.0)');
  CREATE VIRTUAL TABLE vocabulary USING fts5vocab ('words', 'row');
  CREATE VIRTUAL TABLE older USING fts4 (a, b);
  INSERT INTO older (docid, a, b) VALUES (4, 'hello world', 'z');
  CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1, y0, y1, +note);
  INSERT INTO boxes VALUES (1, 0.1, 1.7, 2, 3, 'n'), (9, -1, 1, -2, 2, NULL);
  CREATE TABLE tree (id INTEGER PRIMARY KEY, up INT NOT NULL REFERENCES tree (id));
  INSERT INTO tree VALUES (1, 3), (2, 1), (3, 3);
  CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INT NOT NULL REFERENCES egg (id));
  CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INT NOT NULL REFERENCES hen (id));
  INSERT INTO hen VALUES (1, 2), (2, 1); INSERT INTO egg VALUES (1, 1), (2, 2);
  CREATE TABLE "select" ("from" TEXT, "or""der", [a b], \`c\`\`d\`, "ключ" INT);
  INSERT INTO "select" VALUES ('f', 1, 2, 3, 4);
  CREATE TABLE "таблица ""q"" 'x'" (a);
  INSERT INTO "таблица ""q"" 'x'" VALUES ('; -- '';'), (char(108, 10, 109));
  CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
  INSERT INTO counted (a) VALUES (1), (2), (3); DELETE FROM counted WHERE id = 3;
  CREATE TABLE uncounted (id INTEGER PRIMARY KEY AUTOINCREMENT);
  CREATE TABLE empty (a, b, c);
  CREATE TABLE one (a UNIQUE); INSERT INTO one VALUES (1), ('1'), (1.5), (x'31'), (NULL), (-0.0);
  CREATE INDEX expression ON docs (lower(title) COLLATE NOCASE DESC) WHERE body IS NOT NULL;
  CREATE UNIQUE INDEX "index 2" ON docs (title, id);
  CREATE VIEW above AS SELECT * FROM below; CREATE VIEW below (n) AS SELECT title FROM docs;
  CREATE TRIGGER through INSTEAD OF INSERT ON below BEGIN
    INSERT INTO docs (title) VALUES (new.n);
  END;
  CREATE TABLE hidden (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO hidden VALUES (1, 2, 3);
  CREATE TABLE wide (${Array.from({ length: 1_500 }, (_, at) => `c${at}`).join(', ')});
  INSERT INTO wide (c0, c1499) VALUES (1, 2);
  CREATE TABLE descending (id INTEGER PRIMARY KEY DESC, a);
  INSERT INTO descending (rowid, id, a) VALUES (70, 1, 'x');
  CREATE TABLE latin (t TEXT, u); INSERT INTO latin VALUES ('ok', 'a'),
    (CAST(x'e4f6fc' AS TEXT), 2), (char(65533), x'e4'), (CAST(x'610062' AS TEXT), 'ü')`

const SEARCHES = [
  "SELECT rowid, * FROM found WHERE found MATCH 'bees' ORDER BY rowid",
  "SELECT rowid, *, rank FROM words WHERE words MATCH 'run'",
  "SELECT docid, * FROM older WHERE older MATCH 'world'",
  'SELECT id FROM boxes WHERE x0 > 0',
]

/** All that a user of the file can tell: schema, numbers, rows with types and bytes, searches. */
export function contentOf(path: string): Readonly<Record<string, unknown>> {
  const { DatabaseSync } = requireSqlite()
  const db = new DatabaseSync(path, { readOnly: true })
  const content: Record<string, unknown> = {}
  const shadows = names(db, 'shadow')
  const schema = "SELECT * FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY name"
  content['schema'] = db
    .prepare(schema)
    .all()
    .filter(({ tbl_name }) => !shadows.includes(String(tbl_name)))
    .map(({ type, name, sql }) => ({ type, name, sql }))
  content['numbers'] = ['user_version', 'application_id'].map((name) =>
    db.prepare(`PRAGMA ${name}`).get(),
  )
  for (const table of [...names(db, 'table'), ...names(db, 'virtual'), ...names(db, 'view')]) {
    if (/^sqlite_(schema|temp_schema|stat\d)$/.test(table)) continue
    content[`rows of ${table}`] = rowsOf(db, table)
  }
  content['found'] = SEARCHES.map((sql) => db.prepare(sql).all())
  db.close()
  return content
}

function names(db: DatabaseSync, type: string): readonly string[] {
  const listed = db.prepare('SELECT name FROM pragma_table_list WHERE type = ?').all(type)
  return listed.map(({ name }) => String(name))
}

function rowsOf(db: DatabaseSync, table: string): readonly unknown[] {
  const infos = db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(table)
  const columns = infos.filter(({ hidden }) => hidden !== 1).map(({ name }) => quote(String(name)))
  const [{ wr, type }] = db
    .prepare('SELECT wr, type FROM pragma_table_list WHERE name = ?')
    .all(table) as [Record<string, unknown>]
  const hasRowid = wr === 0 && type !== 'view' && table !== 'sqlite_sequence'
  const all = hasRowid && !columns.includes('"rowid"') ? ['rowid', ...columns] : columns
  const values = all.map((name) => `typeof(${name}) || hex(CAST(${name} AS BLOB))`)
  const rows: unknown[] = []
  // One by one, since a result has fewer columns than a table.
  for (const value of values)
    rows.push(db.prepare(`SELECT ${value} AS v FROM ${quote(table)}`).all())
  return rows
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** As the shell of SQLite writes it: rows in order, virtual tables straight into the schema. */
export function dump(db: DatabaseSync): string {
  const lines = ['PRAGMA foreign_keys=OFF;', 'BEGIN TRANSACTION;', 'PRAGMA writable_schema=ON;']
  const literal = (text: unknown): string => `'${String(text).replaceAll("'", "''")}'`
  const entries = db.prepare('SELECT type, name, sql FROM sqlite_schema WHERE sql <> 0').all()
  for (const { name, sql } of entries.filter(({ type }) => type === 'table')) {
    const text = String(sql)
    if (/^CREATE VIRTUAL/.test(text)) {
      lines.push(
        'INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql)' +
          `VALUES('table',${literal(name)},${literal(name)},0,${literal(text)});`,
      )
      continue
    }
    if (/^sqlite_stat/.test(String(name))) lines.push('ANALYZE sqlite_schema;')
    else if (name !== 'sqlite_sequence') lines.push(`${text};`)
    const infos = db.prepare('SELECT name, hidden FROM pragma_table_xinfo(?)').all(String(name))
    const columns = infos.filter(({ hidden }) => hidden === 0).map((info) => String(info['name']))
    const into = `INSERT INTO ${quote(String(name))}(${columns.map(quote).join()})VALUES(`
    const values = columns.map((column) => `quote(${quote(column)})`).join()
    const rows = db.prepare(`SELECT ${values} FROM ${quote(String(name))}`)
    rows.setReturnArrays(true)
    for (const row of rows.all()) lines.push(`${into}${row});`)
  }
  for (const { sql } of entries.filter(({ type }) => type !== 'table')) lines.push(`${sql};`)
  return `${lines.join('\n')}\nPRAGMA writable_schema=OFF;\nCOMMIT;\n`
}
