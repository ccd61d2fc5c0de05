import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { complete } from '../../src/cli/shell.ts'
import { findFreePorts } from '../processes/free-port.ts'
import { until } from '../processes/wait.ts'
import { Running, run, serve } from './command.ts'

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
      ['.mode colour\nSELECT 3;', /\.mode takes one of table, json, list/],
    ] as const) {
      const { out, err, code } = await run(['shell', '--url', url], { input })
      assert.equal(code, 1)
      assert.match(err, message)
      assert.doesNotMatch(out, /3/)
    }
  })

  it('completes names and commands', () => {
    assert.deepEqual(complete('SELECT * FROM vi', ['visits', 'views', 'a']), [
      ['visits', 'views'],
      'vi',
    ])
    assert.deepEqual(complete('.ta', ['tasks']), [['.tables'], '.ta'])
  })
})

describe('bench', () => {
  it('loads several nodes, tells what it saw, and leaves nothing', async (t) => {
    const { url } = await serve(t)
    const options = ['--seconds', '1', '--writers', '2', '--readers', '2', '--statements', '3']
    const { out, code, err } = await run(['bench', '--url', url, url, ...options])
    assert.equal(err, '')
    assert.equal(code, 0)
    assert.match(out, /writes of 3 +│ \d+ +│ \d+ \/s/)
    assert.match(out, /reads +│ \d+ +│ \d+ \/s/)
    assert.equal((await run(['shell', '--url', url], { input: '.tables' })).out, '\n')
    const wrong = await run(['bench', '--url', url, '--writers', '2000'])
    assert.deepEqual([wrong.code, /from 0 to 1024/.test(wrong.err)], [2, true])
  })
})

describe('members add', () => {
  it('says what to run, and waits until that node is level', async (t) => {
    const [first, second] = (await findFreePorts(2)).map((port) => `127.0.0.1:${port}`)
    const begin = ['--node-id', 'ann', '--bind', first as string, '--bootstrap']
    const { url } = await serve(t, begin)
    const adding = new Running(['members', 'add', second as string, '--url', url])
    const pattern = /colmena (serve --bind \S+ --join \S+)\n/
    const line = await until('it says how', () => pattern.exec(adding.out)?.[1])
    await serve(t, ['--node-id', 'bea', ...line.split(' ').slice(1)])
    const { code, out } = await adding.ended
    assert.equal(code, 0)
    assert.match(out, /bea is a learner, and level/)
    const late = ['--timeout-seconds', '1']
    const never = await run(['members', 'add', '127.0.0.1:1', '--url', url, ...late])
    assert.deepEqual([never.code, /is not in the cluster/.test(never.err)], [1, true])
    const wrong = await run(['members', 'add', 'nonsense', '--url', url])
    assert.equal(wrong.code, 2)
  })
})
