/** Statements that write. */
import type { Shape } from './shapes.ts'

export const WRITES: readonly Shape[] = [
  (p) => ({
    sql: 'INSERT INTO t (a, b, c, d) VALUES (?, ?, ?, ?)',
    args: [p.id, p.word, p.number(0, 99) / 4, p.value],
  }),
  (p) => `INSERT INTO t (a, b) VALUES (${p.id}, '${p.word}'), (${p.literal}, NULL), (NULL, 'x')`,
  (p) => `INSERT INTO t (id, a) VALUES (${p.id}, ${p.number(0, 1500)})`,
  (p) => `INSERT INTO t (a, b, c) SELECT a + 1, b, c FROM t WHERE id < ${p.number(0, 8)}`,
  (p) => `INSERT INTO child (parent, k) VALUES (${p.id}, 'k${p.number(0, 200)}')`,
  (p) => `INSERT INTO child (k, v) VALUES ('k${p.number(0, 200)}', ${p.literal})
     ON CONFLICT (k) DO UPDATE SET v = coalesce(v, 0) + 1 WHERE v < 50 RETURNING id, k, v`,
  (p) => `INSERT INTO child (k) VALUES ('k${p.number(0, 200)}'), (NULL)`,
  (p) => `INSERT OR IGNORE INTO child (parent, k) VALUES (1, 'k${p.number(0, 99)}'), (2, 'k1')`,
  (p) => `INSERT OR REPLACE INTO child (k, v) VALUES ('k${p.number(0, 200)}', ${p.id})`,
  (p) => `INSERT OR ABORT INTO child (k) VALUES ('k${p.number(0, 300)}'), ('k3'), ('k4')`,
  (p) => `REPLACE INTO keyed VALUES ('${p.word}', ${p.id})`,
  (p) => `INSERT INTO keyed VALUES ('${p.word}', ${p.id}) ON CONFLICT DO NOTHING`,
  (p) => `UPDATE keyed SET y = y + ${p.number(0, 3)} WHERE x > '${p.word}'`,
  (p) => `INSERT INTO bare VALUES (${p.literal}, ${p.literal}, ${p.literal})`,
  (p) => `DELETE FROM bare WHERE p ${p.compare} ${p.literal} OR rowid % 9 = ${p.number(0, 9)}`,
  (p) => `UPDATE bare SET q = p, p = q, r = rowid * ${p.number(1, 4)} WHERE typeof(p) <> 'text'`,
  (p) => `INSERT INTO strict (n) VALUES (${p.of(['1', "'2'", "'two'", '2.5', 'NULL', '3.0'])})`,
  (p) => `DELETE FROM strict WHERE n = ${p.number(0, 4)} RETURNING id, n`,
  (p) => `INSERT INTO made (n) VALUES (${p.number(0, 99_999)}) RETURNING rowid, twice, shown`,
  (p) =>
    `UPDATE t SET a = a + 1, b = lower(b) WHERE ${p.column} ${p.compare} ${p.literal} AND a < 900`,
  (p) =>
    `UPDATE t SET c = CASE WHEN c > 10 THEN c / 2 ELSE c * 3 END WHERE id % 5 = ${p.number(0, 5)}`,
  (p) => `UPDATE t SET d = most.k FROM
     (SELECT parent, max(k) AS k FROM child WHERE v > ${p.id} GROUP BY parent) AS most
     WHERE most.parent = t.id`,
  (p) => `UPDATE OR IGNORE child SET k = 'k${p.number(0, 60)}' WHERE id % 4 = 0`,
  (p) => `UPDATE child SET parent = ${p.number(1, 400)} WHERE id = ${p.id}`,
  (p) => `UPDATE t SET b = b || '.' WHERE id = ${p.id} RETURNING id, b AS after`,
  (p) => `DELETE FROM t WHERE id = ${p.number(1, 400)}`,
  (p) => `DELETE FROM t WHERE id > 150 AND a ${p.compare} ${p.literal}`,
  (p) => `DELETE FROM child WHERE parent IS NULL AND v < ${p.id} RETURNING k`,
  (p) => `INSERT INTO words VALUES ('${p.word}', '${p.word} and ${p.word} or ${p.word}')`,
  (p) => `UPDATE words SET body = body || ' ${p.word}' WHERE rowid = ${p.id}`,
  (p) => `DELETE FROM words WHERE words MATCH '${p.of(['gnu', 'eel', 'ant'])}' AND rowid % 3 = 0`,
  (p) => ({
    sql: "INSERT INTO docs (doc) VALUES (json_object('n', :n, 'tags', json_array(:a, :b)))",
    args: { n: p.id, a: p.word, b: p.number(0, 9) },
  }),
  (p) => `UPDATE docs SET doc = json_set(doc, '$.n', ${p.id}) WHERE doc ->> '$.n' < ${p.id}`,
  (p) => `CREATE TABLE IF NOT EXISTS extra_${p.number(0, 4)} (a, b DEFAULT ${p.literal})`,
  (p) => `DROP TABLE ${p.of(['', 'IF EXISTS '])}extra_${p.number(0, 4)}`,
  (p) => `INSERT INTO extra_${p.number(0, 4)} (a) VALUES (${p.literal})`,
  (p) => `CREATE INDEX ${p.of(['', 'IF NOT EXISTS '])}i${p.number(0, 3)} ON t (${p.column}, c)`,
  (p) => `DROP INDEX IF EXISTS i${p.number(0, 3)}`,
  () => 'ANALYZE',
]
