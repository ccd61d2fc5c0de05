/** Queries. */
import type { Shape } from './shapes.ts'

export const READS: readonly Shape[] = [
  // One table.
  (p) => `SELECT * FROM t WHERE ${p.column} ${p.compare} ${p.literal} ORDER BY id`,
  (p) =>
    `SELECT * FROM t WHERE a BETWEEN ${p.number(-20, 20)} AND ${p.number(0, 60)} ORDER BY a, id`,
  (p) => `SELECT id, ${p.column} IN (${p.literal}, ${p.literal}, ${p.id}) FROM t`,
  (p) => `SELECT id, b FROM t WHERE b LIKE '${p.of(['%e%', '_o%', 'B%', '%'])}' ORDER BY b, id`,
  (p) => `SELECT id FROM t WHERE b GLOB '${p.of(['*o*', '[a-d]*', '?ox', '*'])}'`,
  (p) => `SELECT ${p.column} IS NULL, ${p.column} ISNULL, ${p.column} NOT NULL FROM t`,
  (p) => `SELECT DISTINCT ${p.of(['a', 'b', 'c'])}, typeof(d) FROM t ORDER BY 1${p.direction}, 2`,
  (p) => `SELECT * FROM t ORDER BY ${p.column}${p.direction}, id LIMIT ${p.id} OFFSET ${p.id}`,
  (p) => `SELECT id, CASE WHEN a > ${p.id} THEN 'big' WHEN a < 0 THEN b ELSE d END FROM t`,
  (p) =>
    `SELECT coalesce(a, c, ${p.literal}), ifnull(d, b), nullif(a, ${p.id}), iif(a, b, c) FROM t`,
  (p) => `SELECT id, a + ${p.literal}, a - c, a * ${p.id}, a / ${p.number(0, 3)}, a % 7, -c FROM t`,
  (p) => `SELECT a & ${p.id}, a | 8, a << ${p.number(0, 70)}, a >> 1, ~a, NOT a FROM t`,
  (p) => `SELECT a AND c, a OR ${p.literal}, a IS d, b || a || ${p.literal} FROM t WHERE id < 20`,
  (p) =>
    `SELECT CAST(${p.column} AS ${p.of(['INTEGER', 'REAL', 'TEXT', 'BLOB', 'NUMERIC'])}) FROM t`,
  (p) =>
    `SELECT (a, b) ${p.of(['<', '=', '>', 'IS'])} (${p.number(0, 50)}, '${p.word}'), id FROM t`,
  (p) => `SELECT id FROM t WHERE b = '${p.word}' COLLATE ${p.of(['NOCASE', 'BINARY', 'RTRIM'])}`,
  (p) => ({ sql: 'SELECT id, ? FROM t WHERE d IS ? OR a > ?', args: [p.value, p.value, p.id] }),
  (p) => ({ sql: 'SELECT :one AS x, typeof(:one), :two', args: { one: p.value, two: p.value } }),
  (p) => ({ sql: 'SELECT ?2, ?1, ?2', args: [p.value, p.value] }),

  // Functions.
  (p) =>
    `SELECT upper(b), lower(b), length(b), substr(b, ${p.number(-3, 3)}, 2), trim(b, 'e') FROM t`,
  (p) => `SELECT replace(b, 'o', '${p.word}'), instr(b, 'o'), hex(b), quote(d), unicode(b) FROM t`,
  (p) => `SELECT printf('%5d|%-8s|%.3f|%x', a, b, c, ${p.id}), char(a + 65) FROM t WHERE a >= 0`,
  (p) => `SELECT round(c, ${p.number(0, 3)}), abs(a), sign(c), min(a, c), max(a, ${p.id}) FROM t`,
  (p) => `SELECT sqrt(a), pow(c, 2), ln(a), floor(c), ceil(c), pi(), mod(a, ${p.id}) FROM t`,
  (p) => `SELECT date('2024-0${p.number(1, 9)}-10', '+${p.id} days', 'weekday ${p.number(0, 6)}')`,
  (p) =>
    `SELECT strftime('%Y-%j %H:%M', ${p.number(0, 2 ** 31)}, 'unixepoch'), julianday('2020-02-29')`,
  (p) =>
    `SELECT timediff('2024-03-01', '20${p.number(10, 30)}-02-28 12:00'), unixepoch('2000-01-01')`,
  (p) => `SELECT typeof(${p.literal}), typeof(${p.literal} + 1), ${p.literal} = ${p.literal}`,
  (p) => `SELECT concat(a, b), concat_ws('-', b, a, ${p.literal}), octet_length(b) FROM t`,

  // Aggregates and windows.
  () => 'SELECT count(*), count(a), sum(a), avg(c), total(a), min(b), max(d) FROM t',
  (p) =>
    `SELECT ${p.of(['a', 'b', 'c'])}, count(*), sum(a) FROM t GROUP BY 1 ORDER BY 1${p.direction}`,
  (p) =>
    `SELECT b, max(a), min(id) FROM t GROUP BY b HAVING count(*) > ${p.number(0, 6)} ORDER BY b`,
  (p) =>
    `SELECT group_concat(b, '${p.of([',', '', '--'])}' ORDER BY id),
     group_concat(DISTINCT a ORDER BY a) FROM t`,
  (p) => `SELECT count(DISTINCT ${p.column}), count(*) FILTER (WHERE a > ${p.id}) FROM t`,
  (p) => `SELECT string_agg(b, ',' ORDER BY id DESC) FROM t WHERE id < ${p.id}`,
  (p) =>
    `SELECT id, row_number() OVER (PARTITION BY b ORDER BY ${p.column}, id) FROM t ORDER BY id`,
  (p) => `SELECT id, rank() OVER w, dense_rank() OVER w, ntile(${p.number(1, 5)}) OVER w FROM t
     WINDOW w AS (ORDER BY a, id)`,
  (p) => `SELECT id, lag(a, ${p.number(0, 3)}, 'none') OVER w, lead(b) OVER w FROM t
     WINDOW w AS (ORDER BY id)`,
  (p) => `SELECT id, sum(a) OVER (ORDER BY id ROWS BETWEEN ${p.number(0, 4)} PRECEDING
     AND CURRENT ROW EXCLUDE ${p.of(['TIES', 'NO OTHERS', 'CURRENT ROW'])}) FROM t`,
  (p) => `SELECT first_value(b) OVER w, nth_value(a, 2) OVER w, percent_rank() OVER w FROM t
     WINDOW w AS (PARTITION BY a % ${p.number(2, 5)} ORDER BY id) ORDER BY id`,

  // Several tables.
  (p) => `SELECT t.id, k, v FROM t JOIN child ON parent = t.id WHERE v > ${p.id} ORDER BY k`,
  (p) => `SELECT t.id, k FROM t ${p.of(['LEFT', 'RIGHT', 'FULL'])} JOIN child ON parent = t.id
     ORDER BY t.id, k`,
  (p) => `SELECT x.id, y.id FROM t x, t y WHERE x.a = y.a AND x.id < y.id AND x.id < ${p.id}`,
  (p) => `SELECT count(*) FROM t CROSS JOIN keyed WHERE y ${p.compare} a`,
  () => 'SELECT * FROM seen NATURAL JOIN t ORDER BY k',
  (p) => `SELECT id FROM t WHERE EXISTS (SELECT 1 FROM child WHERE parent = t.id AND v > ${p.id})`,
  (p) => `SELECT id FROM t WHERE id ${p.of(['', 'NOT '])}IN (SELECT parent FROM child) ORDER BY id`,
  () => 'SELECT id, (SELECT max(k) FROM child WHERE parent = t.id) FROM t ORDER BY id',
  (p) => `SELECT a FROM t ${p.of(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'])}
     SELECT y FROM keyed ORDER BY 1 LIMIT ${p.id}`,
  (p) =>
    `SELECT * FROM (SELECT b, count(*) n FROM t GROUP BY b) WHERE n > ${p.number(0, 5)} ORDER BY b`,
  (p) => `VALUES (${p.literal}, ${p.literal}), (${p.literal}, ${p.id})`,
  (p) => `WITH big AS (SELECT * FROM t WHERE a > ${p.id}), few AS MATERIALIZED (SELECT id FROM big)
     SELECT count(*), min(id) FROM few`,
  (p) => `WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x * 2 FROM n WHERE x < ${p.id * 9})
     SELECT group_concat(x) FROM n`,

  // JSON and full text.
  (p) =>
    `SELECT id, doc ->> '$.n', doc -> '$.tags', json_type(doc, '$.n') FROM docs WHERE id < ${p.id}`,
  (p) =>
    `SELECT key, value, type FROM json_each('[1, "${p.of(['x', 'y'])}", null, {"a": ${p.id}}]')`,
  () => "SELECT d.id, e.value FROM docs d, json_each(d.doc, '$.tags') e ORDER BY d.id, e.key",
  (p) =>
    `SELECT json_group_array(a ORDER BY id), json_group_object(id, b ORDER BY id)
     FROM t WHERE id < ${p.id}`,
  (p) =>
    `SELECT json_set('{"a":1}', '$.b', ${p.id}), json_remove('[1,2,3]', '$[1]'), json_valid('{')`,
  (p) => `SELECT rowid, title, bm25(words)
     FROM words WHERE words MATCH '${p.of(['fox', 'do*', 'a NOT b'])}'
     ORDER BY rank, rowid`,
  (p) =>
    `SELECT highlight(words, 1, '<', '>')
     FROM words WHERE body MATCH '${p.of(['cow', 'dog fox'])}'`,

  // What the schema says, and what can't be answered.
  (p) => `PRAGMA table_info(${p.of(['t', 'child', 'keyed', 'none'])})`,
  () => "SELECT name, pk, dflt_value FROM pragma_table_xinfo('child')",
  () => 'PRAGMA foreign_key_list(child)',
  (p) => `SELECT ${p.of(['nowhere', 't.none', 'missing()', '1 +', 'FROM', 'abs()'])} FROM t`,
  (p) => `SELECT ${p.of(['abs(-9223372036854775807 - 1)', "json('{')", 'zeroblob(-1)'])}`,
]
