/** The commands that ask a running node. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { findFreePorts } from '../processes/free-port.ts'
import { run, serve } from './command.ts'

describe('exec', () => {
  it('keeps values exact, and shows nothing that steers a terminal', async (t) => {
    const { url } = await serve(t)
    const exec = (...args: string[]): ReturnType<typeof run> => run(['exec', ...args, '--url', url])
    assert.equal((await exec('CREATE TABLE t (a INTEGER, b, c, d)')).code, 0)
    const values = ['9007199254740993', '1.5', 'null', 'x\u001b[2J\ny']
    assert.equal((await exec('INSERT INTO t VALUES (?, ?, ?, ?)', ...values)).out, '1 row\n')
    assert.equal((await exec('INSERT INTO t VALUES (?, ?, ?, ?)', '--text', ...values)).code, 0)
    const shown = (await exec('SELECT * FROM t')).out
    assert.match(shown, /9007199254740993 +│ 1\.5 +│ NULL +│ x\\u001b\[2J\\ny/)
    assert.match(shown, /│ null +│/)
    const rows = JSON.parse((await exec('SELECT * FROM t', '--json')).out)
    assert.deepEqual(rows[0], { a: '9007199254740993', b: 1.5, c: null, d: values[3] })
    assert.deepEqual(rows[1], { a: '9007199254740993', b: '1.5', c: 'null', d: values[3] })
    const other = await exec('SELECT count(*) n FROM t', '--database', 'other')
    assert.match(other.err, /no such table/)
    assert.equal(other.code, 1)
  })

  it('says what was wrong, and whose fault it was', async (t) => {
    const token = 'r'.repeat(16)
    const admin = 'a'.repeat(16)
    const { url } = await serve(t, ['--read-token', token, '--admin-token', admin])
    const nobody = `http://127.0.0.1:${(await findFreePorts(1))[0]}`
    const cases: readonly (readonly [args: string[], code: number, message: RegExp])[] = [
      [['exec', 'SELECT 1', '--url', url], 1, /token/],
      [['exec', 'SELECT 1', '--url', url, '--token', 'w'.repeat(16)], 1, /token/],
      [['exec', 'CREATE TABLE t (a)', '--url', url, '--token', token], 1, /right|write/],
      [['exec', 'SELECT FROM', '--url', url, '--token', token], 1, /syntax error/],
      [['exec', 'SELECT 1', '--url', 'http://127.0.0.1:1'], 1, /port that HTTP clients refuse/],
      [['exec', 'SELECT 1', '--url', nobody], 1, /no server answers at/],
      [['exec', 'SELECT 1; SELECT 2', '--url', nobody], 2, /exec takes one statement/],
      [['members', 'remov', 'ann', '--url', nobody], 2, /no 'members remov': it is list, add/],
      [['exec', 'SELECT 1', '--url', 'nonsense'], 2, /--url is 'nonsense'/],
      [
        ['skip', '1', '--url', url, '--token', admin],
        1,
        /entry 1 is not skipped: .* has applied it/,
      ],
      [['skip', 'last', '--url', nobody], 2, /'last' is no index of a log entry/],
      [['exec'], 2, /missing required argument 'sql'/],
      [
        ['exec', 'SELECT 1', '--consistency', 'storng'],
        2,
        /Allowed choices are none, lease, weak, strong/,
      ],
      [['stauts'], 2, /Did you mean status/],
    ]
    for (const [args, code, message] of cases) {
      const ended = await run(args)
      assert.equal(ended.code, code, `${args.join(' ')}: ${ended.err}`)
      assert.match(ended.err, message)
    }
    const env = { COLMENA_URL: url, COLMENA_TOKEN: token }
    assert.match((await run(['exec', 'SELECT 41 + 1 AS n'], { env })).out, /42/)
  })
})

describe('status and members', () => {
  it('tell of the asked node and of all members', async (t) => {
    const { url } = await serve(t, ['--node-id', 'ann'])
    const { out } = await run(['status', '--url', url])
    assert.match(out, /ann is the leader in term \d+; the leader is ann; ready/)
    assert.match(out, /│ ann +│ leader/)
    const { status, members } = JSON.parse((await run(['status', '--json', '--url', url])).out)
    assert.equal(status.nodeId, 'ann')
    assert.equal(members.length, 1)
    assert.match((await run(['members', '--url', url])).out, /│ ann +│ leader/)
    const alone = await run(['members', 'remove', 'ann', '--url', url])
    assert.deepEqual([alone.code, /last voter/.test(alone.err)], [1, true])
    const nobody = await run(['members', 'promote', 'bea', '--url', url])
    assert.match(nobody.err, /'bea' is no member of this cluster; the members are ann/)
    const transfer = await run(['transfer-leadership', '--url', url])
    assert.deepEqual([transfer.code, /no other voter/.test(transfer.err)], [1, true])
  })

  it('show an example of each command', async () => {
    for (const command of ['serve', 'demo', 'status', 'exec', 'transfer-leadership']) {
      const { code, out } = await run([command, '--help'])
      assert.equal(code, 0)
      assert.match(out, /Examples?:\n +colmena/, command)
    }
    assert.match((await run(['--version'])).out, /^\d+\.\d+\.\d+\n$/)
  })
})
