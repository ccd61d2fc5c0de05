import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { requireSqlite, splitStatements } from '../../src/sqlite/sqlite.ts'

const TRIGGER =
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN ' +
  "UPDATE t SET a = CASE WHEN a > 1 THEN 2 ELSE ';' END; SELECT 1; END"

describe('a script', () => {
  const cases: readonly (readonly [script: string, statements: readonly string[]])[] = [
    ['', []],
    [' ;; -- nothing\n /* ; */ ;', []],
    ['SELECT 1', ['SELECT 1']],
    ['SELECT 1;', ['SELECT 1']],
    ['SELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    ["SELECT ';', '''; ' ;SELECT 2", ["SELECT ';', '''; '", 'SELECT 2']],
    ['SELECT ";", `;`, [;] ; SELECT 2', ['SELECT ";", `;`, [;]', 'SELECT 2']],
    ['SELECT 1 -- a; b\n, 2; SELECT 3', ['SELECT 1 -- a; b\n, 2', 'SELECT 3']],
    ['SELECT 1 /* a; b */; SELECT 3 -- end', ['SELECT 1', 'SELECT 3']],
    ['/* first */ SELECT 1; /* open ; SELECT 2', ['SELECT 1']],
    ["SELECT 'open ; SELECT 2", ["SELECT 'open ; SELECT 2"]],
    [`${TRIGGER}; SELECT 2`, [TRIGGER, 'SELECT 2']],
    [`EXPLAIN ${TRIGGER}; SELECT 2`, [`EXPLAIN ${TRIGGER}`, 'SELECT 2']],
    [`explain query plan ${TRIGGER}; SELECT 2`, [`explain query plan ${TRIGGER}`, 'SELECT 2']],
    [
      'create temp trigger x after delete on "end" begin select 1; /* ; */ end ; select 2',
      ['create temp trigger x after delete on "end" begin select 1; /* ; */ end', 'select 2'],
    ],
    [
      'BEGIN; SELECT CASE 1 WHEN 1 THEN 2 END; END',
      ['BEGIN', 'SELECT CASE 1 WHEN 1 THEN 2 END', 'END'],
    ],
    ['CREATE TABLE "trigger" (x); SELECT 1', ['CREATE TABLE "trigger" (x)', 'SELECT 1']],
    [
      "SELECT x'3b' ; SELECT $a::b(;) ; SELECT @b",
      ["SELECT x'3b'", 'SELECT $a::b(;)', 'SELECT @b'],
    ],
    ['\uFEFFSELECT 1; SELECT 2', ['SELECT 1', 'SELECT 2']],
    ['SELECT größe;SELECT 2', ['SELECT größe', 'SELECT 2']],
  ]

  it('is split where SQLite ends a statement', () => {
    for (const [script, statements] of cases) {
      assert.deepEqual(splitStatements(script), statements, script)
    }
  })

  it('of any statements, spaces and comments gives those statements', () => {
    const statement = fc.constantFrom(
      'SELECT 1',
      "SELECT 'it''s; here', \"a;b\"",
      'SELECT [;], `;` FROM t',
      "INSERT INTO t VALUES (x'3b', ?1, :name, '--', '/*')",
      'SELECT CASE a WHEN 1 THEN 2 END /* ; inside */ FROM t',
      TRIGGER,
      'CREATE TRIGGER IF NOT EXISTS h BEFORE UPDATE OF a ON t FOR EACH ROW WHEN new.a > 1 ' +
        "BEGIN INSERT INTO t VALUES ('end;'); -- end;\n DELETE FROM t; END",
      'CREATE VIEW trigger_view AS SELECT 1',
    )
    const gap = fc.constantFrom(';', ' ; ', ';;', '; -- a; comment\n', ';/* ; */;\n\t', ';\r\n')
    fc.assert(
      fc.property(fc.array(fc.tuple(statement, gap), { maxLength: 8 }), (parts) => {
        const script = parts.map(([sql, between]) => sql + between).join('')
        assert.deepEqual(
          splitStatements(script),
          parts.map(([sql]) => sql),
        )
      }),
      { seed: 20261123, numRuns: 400 },
    )
  })

  it('of any text is cut as SQLite cuts it, and nothing but ends and space is lost', () => {
    const db = new (requireSqlite().DatabaseSync)(':memory:')
    const piece = fc.constantFrom(
      ...[
        "'",
        '"',
        '`',
        '[',
        ']',
        ';',
        ' ',
        '\n',
        '--',
        '/*',
        '*/',
        'select',
        '1',
        ',',
        "x'",
        '(',
        ')',
      ],
      ...['?', ':a', '$b', 'end', 'begin', 'create', 'trigger', 'é', '#', '.', '-', '/', '*'],
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const script = pieces.join('')
        const [first] = splitStatements(script)
        // The first statement alone must mean to SQLite what the script's first means.
        assert.equal(prepareOutcome(db, first ?? ''), prepareOutcome(db, script), script)
        let at = 0
        for (const statement of splitStatements(script)) {
          at = script.indexOf(statement, at)
          assert.ok(at >= 0, 'statements are parts of the script, in order')
          at += statement.length
        }
      }),
      { seed: 20261123, numRuns: 3000 },
    )
    db.close()
  })
})

/** Whether SQLite takes the first statement of a text, and how many columns it has. */
function prepareOutcome(db: import('node:sqlite').DatabaseSync, sql: string): string {
  try {
    return `columns ${db.prepare(sql).columns().length}`
  } catch (error) {
    // Messages name what follows the statement, which differs; that it fails is what counts.
    return /no statements/.test((error as Error).message) ? 'none' : 'error'
  }
}
