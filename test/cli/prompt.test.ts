/** The shell as a person types into it, on a terminal of streams. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { ApiClient } from '../../src/cli/client.ts'
import { complete, Prompt } from '../../src/cli/shell.ts'
import { ShellSession } from '../../src/cli/shell-session.ts'
import { until } from '../processes/wait.ts'
import { makeDirectory, run, serve } from './command.ts'

const ENDLESS =
  'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c;'
const CTRL_C = '\u0003'
const CTRL_D = '\u0004'

interface Typing {
  readonly input: PassThrough
  readonly ended: Promise<void>
  readonly historyPath: string
  /** What was shown since it was last asked. */
  shown(): string
}

function type(t: TestContext, url: string, historyPath?: string): Typing {
  const input = new PassThrough()
  const output = new PassThrough({ encoding: 'utf8' })
  const client = new ApiClient({ url })
  const shell = new ShellSession({ client, database: 'main', output, isTyped: true })
  const path = historyPath ?? join(makeDirectory(t), 'history')
  const { ended } = new Prompt(shell, { input, output, historyPath: path })
  t.after(() => input.end())
  const shown = (): string => (output.read() as string | null) ?? ''
  return { input, ended, historyPath: path, shown }
}

describe('a prompt', () => {
  it('stops all that was pasted at Ctrl-C, running and waiting, and goes on', async (t) => {
    const { url } = await serve(t)
    await run(['exec', 'CREATE TABLE t (a)', '--url', url])
    const { input, ended, shown } = type(t, url)
    input.write(`INSERT INTO t VALUES (1);\n${ENDLESS} INSERT INTO t VALUES (2);\n`)
    input.write('INSERT INTO t VALUES (3);\nINSERT INTO t\n')
    await until('the first is done', () => /1 row\n/.test(shown()))
    input.write(CTRL_C)
    let all = ''
    await until('it has stopped', () => {
      all += shown()
      return all.includes('stopped; what was sent to the node may be done all the same')
    })
    input.write('SELECT count(*) AS n, max(a) AS a FROM t;\n')
    await until('the rest was dropped', () => {
      all += shown()
      return /│ 1 │ 1 │/.test(all)
    })
    input.write(CTRL_D)
    await ended
  })

  it('drops all that waits where that is too much', async (t) => {
    const { url } = await serve(t)
    const { input, ended, shown } = type(t, url)
    input.write(`${ENDLESS}\n${'SELECT 42;\n'.repeat(10_001)}`)
    let all = ''
    await until('it says so', () => {
      all += shown()
      return all.includes('more than 10,000 lines wait: give so many by a pipe')
    })
    input.write('\n.quit\n')
    await ended
    assert.doesNotMatch(all + shown(), /│ 42/)
  })

  it('asks for names when Tab is pressed, and at no other time', async (t) => {
    const { url } = await serve(t)
    await run(['exec', 'CREATE TABLE visits (visitor, "odd name", _x)', '--url', url])
    await run([
      'exec',
      'CREATE VIEW viewers AS SELECT visitor AS watcher FROM visits',
      '--url',
      url,
    ])
    const asked: string[] = []
    const { fetch } = globalThis
    t.after(() => {
      globalThis.fetch = fetch
    })
    globalThis.fetch = (at, init) => {
      asked.push(String(init?.body))
      return fetch(at, init)
    }
    const { input, ended, shown } = type(t, url)
    input.write('SELECT 40;\n')
    await until('it is answered', () => /│ 40/.test(shown()))
    assert.equal(asked.length, 1)
    // Alone, as a key is: one amid pasted text completes nothing.
    input.write('SELECT wat')
    input.write('\t')
    // Readline writes what was missing.
    await until('the column is there', () => shown().includes('cher'))
    assert.equal(asked.length, 2)
    input.write(' FROM visits v JOIN viewe')
    input.write('\t')
    await until('the view is there', () => shown().includes('rs'))
    input.write(CTRL_C)
    await until('there is a new line', () => shown().includes('main> '))
    input.write('SELECT vis')
    input.write('\t')
    await until('what both begin with is there', () => shown().includes('it'))
    input.write('\t')
    await until('both are there', () => /visitor\s+visits/.test(shown()))
    input.write(`${CTRL_C}${CTRL_D}`)
    await ended
  })

  it('completes words and commands', () => {
    assert.deepEqual(complete('SELECT v.vi', ['visits', 'Views', 'a']), [['visits', 'Views'], 'vi'])
    assert.deepEqual(complete('.ta', ['.tables', '.timer']), [['.tables'], '.ta'])
  })

  it('keeps its history for its owner alone, also where others could read it', async (t) => {
    const { url } = await serve(t)
    const path = join(makeDirectory(t), 'history')
    writeFileSync(path, 'SELECT 1;\n')
    chmodSync(path, 0o644)
    const { input, ended } = type(t, url, path)
    input.write('SELECT 2;\n')
    input.write(CTRL_D)
    await ended
    assert.equal(readFileSync(path, 'utf8'), 'SELECT 1;\nSELECT 2;\n')
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  it('goes without a history that can not be read, and says so', async (t) => {
    const { url } = await serve(t)
    const path = join(makeDirectory(t), 'history')
    mkdirSync(path)
    const { input, ended, shown } = type(t, url, path)
    assert.match(shown(), /this shell has no history: EISDIR/)
    input.write('SELECT 40 + 2;\n')
    await until('it is answered', () => /│ 42/.test(shown()))
    input.write(CTRL_D)
    await ended
  })
})
