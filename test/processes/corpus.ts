/**
 * Statements whose answers would differ between nodes, or between one run and the next, if anything
 * of clock, chance, time zone or connection got into them. Several in one list are one batch.
 */
export const CORPUS: readonly (string | readonly string[])[] = [
  // Time and chance in statements.
  `CREATE TABLE moments (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g)`,
  `INSERT INTO moments (a, b, c) VALUES (CURRENT_TIMESTAMP, CURRENT_DATE, CURRENT_TIME)`,
  `INSERT INTO moments (a, b, c, d, e)
     VALUES (datetime(), date(), time(), julianday(), unixepoch())`,
  `INSERT INTO moments (a, b) VALUES (datetime('now'), datetime('NOW', 'subsec'))`,
  `INSERT INTO moments (a, b) VALUES (unixepoch('subsec'), strftime('%Y-%m-%d %H:%M:%f'))`,
  `INSERT INTO moments (a, b) VALUES (strftime('%s %J %w %W', 'now'), strftime('%f', 'now'))`,
  `INSERT INTO moments (a) VALUES (datetime('now', 'localtime'))`,
  `INSERT INTO moments (a, b) VALUES (datetime('2024-07-01', 'localtime'), date('now', 'utc'))`,
  `INSERT INTO moments (a) VALUES (strftime('%H', '2024-01-01 00:00', 'localtime'))`,
  `INSERT INTO moments (a)
     VALUES (date('now', 'start of month', '+1 month', '-1 day', 'weekday 1'))`,
  `INSERT INTO moments (a, b)
     VALUES (timediff('now', '2020-02-29'), timediff('2020-02-29', 'now'))`,
  `INSERT INTO moments (a) SELECT datetime(column1) FROM (VALUES ('now'), ('2020-01-01'))`,
  `INSERT INTO moments (a) VALUES (datetime(lower('NOW')))`,
  `INSERT INTO moments (a, b, c) VALUES (random(), randomblob(16), hex(randomblob(3)))`,
  `INSERT INTO moments (a) VALUES (random()), (random()), (random()), (random())`,
  `INSERT INTO moments (a, b) SELECT random(), value FROM json_each('[1,2,3,4,5]')`,
  `INSERT INTO moments (a) VALUES (abs(random()) % 100), (random() % 7 + randomblob(2))`,
  `INSERT INTO moments (a)
     VALUES (lower(hex(randomblob(4)) || '-4' || substr(hex(randomblob(2)), 2)))`,
  `UPDATE moments SET f = random() WHERE id % 2 = 0`,
  `UPDATE moments SET g = julianday('now') - julianday('2000-01-01'), f = f + unixepoch()`,
  `UPDATE moments SET e = CASE WHEN random() > 0 THEN 'heads' ELSE 'tails' END`,
  `DELETE FROM moments WHERE id IN (SELECT id FROM moments ORDER BY random() LIMIT 2)`,
  `INSERT INTO moments (a, b) SELECT a, b FROM moments ORDER BY random() LIMIT 5`,
  `INSERT INTO moments (a) SELECT a FROM moments ORDER BY random(), a LIMIT 3 OFFSET 1`,
  `UPDATE moments SET d = (SELECT m.id FROM moments m ORDER BY random() LIMIT 1)`,
  `WITH RECURSIVE walk (n, at) AS (SELECT 0, 0 UNION ALL
     SELECT n + 1, at + iif(random() % 2, 1, -1) FROM walk WHERE n < 50)
   INSERT INTO moments (a, b) SELECT n, at FROM walk WHERE n % 10 = 0`,
  `INSERT INTO moments (a)
     SELECT group_concat(r) FROM (SELECT random() r FROM json_each('[1,2,3]'))`,
  `INSERT INTO moments (a, b) SELECT count(*), sum(random() % 10) FROM moments`,
  `INSERT INTO moments (a)
     VALUES (printf('%d %s %.17g', random(), datetime('now'), julianday('now')))`,
  `INSERT INTO moments (a) VALUES (json_object('at', CURRENT_TIMESTAMP, 'n', random()))`,

  // In DEFAULTs.
  `CREATE TABLE defaults (
     id INTEGER PRIMARY KEY, name, at TEXT DEFAULT CURRENT_TIMESTAMP, day DEFAULT CURRENT_DATE,
     hour DEFAULT CURRENT_TIME, chance DEFAULT (random()), token DEFAULT (hex(randomblob(8))),
     zone DEFAULT (datetime('now', 'localtime')), exact DEFAULT (unixepoch('subsec')))`,
  `INSERT INTO defaults DEFAULT VALUES`,
  `INSERT INTO defaults (name) VALUES ('one'), ('two'), ('three')`,
  `INSERT INTO defaults (name) SELECT 'copy of ' || id FROM defaults`,
  `INSERT INTO defaults (name) VALUES ('told') RETURNING id, at, chance, token`,
  `ALTER TABLE defaults ADD COLUMN later DEFAULT 'fixed'`,
  `REPLACE INTO defaults (id, name) VALUES (2, 'again')`,
  `UPDATE defaults SET token = DEFAULT_TOKEN FROM (SELECT hex(randomblob(2)) AS DEFAULT_TOKEN)`,

  // In triggers and views.
  `CREATE TABLE journal (at DEFAULT CURRENT_TIMESTAMP, what, chance)`,
  `CREATE TRIGGER noted AFTER INSERT ON defaults BEGIN
     INSERT INTO journal (what, chance) VALUES (new.name, random());
   END`,
  `CREATE TRIGGER touched AFTER UPDATE OF name ON defaults WHEN new.name <> old.name BEGIN
     UPDATE defaults SET at = strftime('%Y %f', 'now'), chance = random() WHERE id = new.id;
     INSERT INTO journal (what, chance) SELECT old.name, randomblob(4) FROM defaults
       ORDER BY random() LIMIT 2;
   END`,
  `CREATE TRIGGER gone BEFORE DELETE ON defaults BEGIN
     INSERT INTO journal (what, chance) VALUES ('gone ' || old.id, last_insert_rowid());
   END`,
  `INSERT INTO defaults (name) VALUES ('seen'), ('by'), ('triggers')`,
  `UPDATE defaults SET name = name || '!' WHERE id % 2 = 1`,
  `DELETE FROM defaults WHERE id IN (SELECT id FROM defaults ORDER BY random() LIMIT 2)`,
  `CREATE VIEW chances AS SELECT random() AS chance, datetime('now', 'localtime') AS at, id
     FROM defaults`,
  `INSERT INTO journal (what, chance) SELECT at, chance FROM chances ORDER BY chance`,
  `CREATE TABLE lots AS SELECT id, chance, at FROM chances ORDER BY random()`,
  `CREATE VIEW door AS SELECT id, name FROM defaults`,
  `CREATE TRIGGER through INSTEAD OF INSERT ON door BEGIN
     INSERT INTO defaults (name, chance) VALUES (new.name || CURRENT_TIME, random());
   END`,
  `INSERT INTO door (name) VALUES ('through a view'), ('twice')`,

  // Without a primary key, without rowids, and with the ones that are given.
  `CREATE TABLE bare (a, b)`,
  `INSERT INTO bare SELECT random(), id FROM moments`,
  `INSERT INTO bare SELECT * FROM bare ORDER BY random() LIMIT 4`,
  `DELETE FROM bare WHERE rowid % 3 = 0`,
  `INSERT INTO bare (rowid, a) VALUES (1000, 'far'), (NULL, 'next')`,
  `CREATE TABLE pairs (k TEXT PRIMARY KEY, v) WITHOUT ROWID`,
  `INSERT INTO pairs SELECT hex(randomblob(6)), random() FROM json_each('[1,2,3,4,5,6]')`,
  `CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v)`,
  `INSERT INTO counted (v) SELECT randomblob(2) FROM json_each('[1,2,3]')`,
  `DELETE FROM counted WHERE id = 3`,
  `INSERT INTO counted (v) VALUES (random())`,
  `CREATE TABLE strict (id INTEGER PRIMARY KEY, n INTEGER, r REAL, t TEXT, b BLOB, x ANY) STRICT`,
  `INSERT INTO strict
     VALUES (1, random() % 100, random() * 1.0, datetime('now'), randomblob(3), 1)`,

  // Upserts, conflicts, and what each of them leaves.
  `CREATE TABLE visits (who TEXT PRIMARY KEY, n DEFAULT 1, last DEFAULT CURRENT_TIMESTAMP, r)`,
  `INSERT INTO visits (who, r) VALUES ('ann', random()), ('bea', random())`,
  `INSERT INTO visits (who, r) VALUES ('ann', random()) ON CONFLICT (who)
     DO UPDATE SET n = n + 1, last = datetime('now', '+1 day'), r = excluded.r`,
  `INSERT INTO visits (who, r)
     SELECT 'v' || (abs(random()) % 3), random() FROM json_each('[1,2,3,4]')
     WHERE true ON CONFLICT DO UPDATE SET n = n + 10, r = random() RETURNING who, n, r`,
  `INSERT OR IGNORE INTO visits (who) VALUES ('ann'), ('cid')`,
  `INSERT OR REPLACE INTO visits (who, r) VALUES ('bea', random())`,
  `UPDATE OR IGNORE visits SET who = 'ann' WHERE who = 'bea'`,
  `UPDATE visits SET r = random() RETURNING who, r`,
  `DELETE FROM visits WHERE who LIKE 'v%' AND random() % 2 = 0 RETURNING who`,

  // Counts within a command.
  [
    `CREATE TABLE bills (id INTEGER PRIMARY KEY, n)`,
    `INSERT INTO bills (n) VALUES (changes()), (last_insert_rowid())`,
    `INSERT INTO bills (n) VALUES (changes())`,
    `INSERT INTO bills (n) SELECT last_insert_rowid() + id FROM bills`,
  ],
  `INSERT INTO bills (n) VALUES (last_insert_rowid() * 100 + changes())`,
  [
    `UPDATE bills SET n = n + 1 WHERE id > 1`,
    `INSERT INTO bills (id, n) VALUES (random() % 1000 + 5000, changes())`,
    `INSERT INTO journal (what) VALUES (last_insert_rowid())`,
  ],

  // Full text, R-tree, JSON.
  `CREATE VIRTUAL TABLE words USING fts5 (title, body, tokenize = 'porter unicode61')`,
  `INSERT INTO words VALUES ('Nodes', 'all nodes answer alike'), ('Time', 'time is frozen')`,
  `INSERT INTO words SELECT 'n' || id, 'chance ' || hex(randomblob(3)) FROM moments`,
  `UPDATE words SET body = body || ' ' || CURRENT_DATE WHERE words MATCH 'node*'`,
  `DELETE FROM words WHERE rowid IN (SELECT rowid FROM words ORDER BY random() LIMIT 2)`,
  `INSERT INTO words (words) VALUES ('optimize')`,
  `INSERT INTO words (words, rank) VALUES ('merge', 16)`,
  `INSERT INTO journal (what, chance) SELECT snippet(words, 1, '[', ']', '…', 4), bm25(words)
     FROM words WHERE words MATCH 'chance OR frozen' ORDER BY rank, rowid`,
  `CREATE VIRTUAL TABLE notes USING fts5 (name, content = 'defaults', content_rowid = 'id')`,
  `INSERT INTO notes (notes) VALUES ('rebuild')`,
  `CREATE VIRTUAL TABLE old USING fts4 (body)`,
  `INSERT INTO old SELECT hex(randomblob(2)) || ' alike' FROM json_each('[1,2,3]')`,
  `CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1)`,
  `INSERT INTO boxes SELECT id, id % 7, id % 7 + abs(random() % 5) FROM moments`,
  `CREATE TABLE docs (id INTEGER PRIMARY KEY, doc, small BLOB)`,
  `INSERT INTO docs (doc, small) SELECT json_object('n', random(), 'at', datetime('now')),
     jsonb_array(random(), CURRENT_DATE) FROM json_each('[1,2,3]')`,
  `UPDATE docs SET doc = json_set(doc, '$.again', random(), '$.day', strftime('%j', 'now'))`,
  `INSERT INTO journal (what) SELECT json_group_array(doc ->> '$.n') FROM docs`,

  // Generated columns and indexes over dates that are stored.
  `CREATE TABLE dated (at TEXT DEFAULT CURRENT_TIMESTAMP,
     day TEXT GENERATED ALWAYS AS (date(at)) STORED, month AS (strftime('%m', at)), v)`,
  `INSERT INTO dated (v) VALUES (random()), (random())`,
  `INSERT INTO dated (at, v)
     SELECT datetime('now', (random() % 1000) || ' hours'), id FROM moments`,
  `CREATE INDEX by_day ON dated (date(at), unixepoch(at)) WHERE at > '2000-01-01'`,
  `CREATE INDEX by_month ON dated (month, day)`,
  `UPDATE dated SET at = datetime(at, '+1 day') WHERE day = date('now')`,
  `DELETE FROM dated WHERE rowid IN (SELECT rowid FROM dated WHERE date(at) > date('now')
     ORDER BY random() LIMIT 3)`,

  // What plans and schemas depend on.
  `CREATE INDEX by_a ON moments (a)`,
  `ANALYZE`,
  `INSERT INTO bare SELECT id, a FROM moments WHERE a > 0 AND b IS NOT NULL`,
  `REINDEX`,
  `ALTER TABLE bare RENAME COLUMN b TO renamed`,
  `ALTER TABLE lots RENAME TO draws`,
  `CREATE TABLE families (id INTEGER PRIMARY KEY, parent REFERENCES families ON DELETE CASCADE)`,
  `INSERT INTO families
     SELECT value, iif(value > 1, value - 1, NULL) FROM json_each('[1,2,3,4,5]')`,
  `DELETE FROM families WHERE id = abs(random() % 2) + 3`,
  `PRAGMA user_version = 7`,
  [`PRAGMA defer_foreign_keys = ON`, `INSERT INTO families VALUES (50, 51), (51, NULL)`],
]

/** Statements that fail, and what they leave behind all the same is nothing. */
export const FAILING: readonly string[] = [
  `INSERT OR FAIL INTO visits (who, r) VALUES ('new one', random()), ('ann', random())`,
  `INSERT OR ROLLBACK INTO visits (who) VALUES ('another'), ('ann')`,
  `INSERT INTO journal (what) SELECT abs(-9223372036854775807 - 1) FROM moments`,
  `INSERT INTO journal (what) VALUES (total_changes())`,
  `CREATE INDEX wrong ON moments (datetime('now'))`,
  `INSERT INTO strict (n) VALUES (CURRENT_TIMESTAMP)`,
]
