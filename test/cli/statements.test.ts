import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { StatementSplitter } from '../../src/cli/statements.ts'

function split(text: string): { readonly statements: string[]; readonly rest: string } {
  const splitter = new StatementSplitter()
  const statements = splitter.push(text)
  return { statements, rest: splitter.rest }
}

const TRIGGER = `CREATE TRIGGER tr AFTER INSERT ON t BEGIN
  INSERT INTO u VALUES (CASE WHEN new.a THEN 1 ELSE 2 END);
  DELETE FROM v;
END`

describe('statements', () => {
  it('end at semicolons outside of strings, names and comments', () => {
    const texts = [
      "SELECT ';', 'it''s; fine'",
      'SELECT ";" AS "a;b", `c;d`, [e;f]',
      'SELECT 1 -- not; here\n, 2',
      'SELECT /* nor; here */ 3',
      'SELECT 1 - 2 / 3',
    ]
    assert.deepEqual(split(`${texts.join(';\n')};`), { statements: texts, rest: '' })
  })

  it('are triggers as a whole', () => {
    for (const sql of [TRIGGER, TRIGGER.replace('TRIGGER', 'temp trigger'), `EXPLAIN ${TRIGGER}`]) {
      assert.deepEqual(split(`SELECT 1;${sql};SELECT 2`), {
        statements: ['SELECT 1', sql],
        rest: 'SELECT 2',
      })
    }
    // A column may be called so: it is the keyword in its place that counts.
    assert.equal(split('CREATE TABLE trigger_log (a); SELECT 1;').statements.length, 2)
  })

  it('are none where there is nothing but space and comments', () => {
    assert.deepEqual(split(' ;;\n-- nothing\n; /* ; */ ;'), { statements: [], rest: '' })
    assert.equal(split('-- the end').rest, '')
    assert.equal(split("SELECT 'open").rest, "SELECT 'open")
  })

  it('are the same however the text comes in pieces', () => {
    const text = `SELECT 'a;b';-- c;\n${TRIGGER};SELECT/* ; */2;INSERT INTO t VALUES ("x;")`
    const whole = split(text)
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: text.length }), { maxLength: 12 }), (cuts) => {
        const splitter = new StatementSplitter()
        const statements: string[] = []
        let from = 0
        for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
          statements.push(...splitter.push(text.slice(from, cut)))
          from = cut
        }
        assert.deepEqual({ statements, rest: splitter.rest }, whole)
      }),
      { seed: 1, numRuns: 300 },
    )
  })
})
