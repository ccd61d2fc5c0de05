import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, it } from 'node:test'
import { run, serve } from './command.ts'

describe('shell', () => {
  it('runs what comes by a pipe, statements over several lines and commands', async (t) => {
    const { url } = await serve(t)
    const input = `CREATE TABLE a (x, y);
INSERT INTO a VALUES (1,
  'semi;colon');
.mode list
SELECT * FROM a; SELECT count(*) FROM a;
.tables
.schema a
.mode json
SELECT x FROM a;
.consistency strong
.use other
.tables
.databases
SELECT 'no end'`
    const { out, err, code } = await run(['shell', '--url', url], { input })
    assert.equal(err, '')
    assert.equal(code, 0)
    assert.equal(
      out,
      `1|semi;colon\n1\na\nCREATE TABLE a (x, y);\n[{"x":1}]\n\nmain\n[{"'no end'":"no end"}]\n`,
    )
  })

  it('shows no character that steers a terminal, and ends where it is told to', async (t) => {
    const { url } = await serve(t)
    const evil = '\u001b[2J\u009b2J\u202e'
    const input = `.mode list
SELECT '${evil}' AS a;
.mode json
SELECT '${evil}' AS a;
CREATE VIEW "v${evil}" AS SELECT 1;
.tables
.schema
.quit
SELECT 'not any more';`
    const { out, code } = await run(['shell', '--url', url], { input })
    assert.equal(code, 0)
    assert.match(out, /\\u001b\[2J\\u009b2J\\u202e/)
    for (const text of ['\u001b', '\u009b', '\u202e', 'not any more']) {
      assert.ok(!out.includes(text), JSON.stringify(text))
    }
  })

  it('stops a pipe at the first failure', async (t) => {
    const { url } = await serve(t)
    for (const [input, message] of [
      ['SELECT 1;\nSELEKT;\nSELECT 3;', /syntax error/],
      ['.nonsense\nSELECT 3;', /there is no \.nonsense/],
      ['.mode colour\nSELECT 3;', /\.mode takes one of table, json, list, csv/],
    ] as const) {
      const { out, err, code } = await run(['shell', '--url', url], { input })
      assert.equal(code, 1)
      assert.match(err, message)
      assert.doesNotMatch(out, /3/)
    }
  })

  it('gives CSV that an import takes back as it was', async (t) => {
    const { url } = await serve(t)
    const input = `CREATE TABLE a (x, "y,z");
INSERT INTO a VALUES (1, 'say "hi"'), (NULL, ''), ('a\nb', 'é\u001b');
.mode csv
SELECT * FROM a;`
    const { out } = await run(['shell', '--url', url], { input })
    assert.equal(out, 'x,"y,z"\n1,"say ""hi"""\n,""\n"a\nb",é\u001b\n')
  })

  it('shows how a database was made, tables before what hangs on them', async (t) => {
    const { url } = await serve(t)
    const input = `CREATE TABLE zoo (a);
CREATE VIEW birds AS SELECT a FROM zoo;
CREATE INDEX ants ON zoo (a);
CREATE TRIGGER again AFTER INSERT ON zoo BEGIN SELECT 1; END;
CREATE TABLE "my bees" (id INTEGER PRIMARY KEY AUTOINCREMENT);
.schema
.schema ZOO;
.schema "My Bees"
.schema nothing`
    const { out, err, code } = await run(['shell', '--url', url], { input })
    const [bees, zoo, ants, birds, again] = [
      'CREATE TABLE "my bees" (id INTEGER PRIMARY KEY AUTOINCREMENT);',
      'CREATE TABLE zoo (a);',
      'CREATE INDEX ants ON zoo (a);',
      'CREATE VIEW birds AS SELECT a FROM zoo;',
      'CREATE TRIGGER again AFTER INSERT ON zoo BEGIN SELECT 1; END;',
    ]
    const all = [bees, zoo, ants, birds, again, zoo, ants, again, bees]
    assert.deepEqual(out.trimEnd().split('\n'), all)
    assert.deepEqual(
      [code, err],
      [1, "main has nothing called 'nothing'; .tables lists what it has\n"],
    )
  })

  it('asks for the schema as consistently as for rows', async (t) => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      const result = { cols: [{ name: 'sql' }], rows: [], affected_row_count: 0 }
      const results = [{ type: 'ok', response: { type: 'execute', result } }]
      request.resume().on('end', () => response.end(JSON.stringify({ results })))
    })
    t.after(() => server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const input = '.consistency none\n.schema\n.tables\n'
    assert.equal((await run(['shell', '--url', url], { input })).code, 0)
    const path = '/db/main/v3/pipeline?consistency=none'
    assert.deepEqual(asked, [path, path])
  })
})
