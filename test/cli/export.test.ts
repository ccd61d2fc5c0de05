import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { requireSqlite } from '../../src/sqlite/sqlite.ts'
import { makeDirectory, Running, run, serve } from './command.ts'

describe('an export', () => {
  it('goes into a file, or through a pipe, and over nothing that would change it', async (t) => {
    const { url } = await serve(t)
    const directory = makeDirectory(t)
    const file = (name: string): string => join(directory, name)
    const to = (path: string, ...more: string[]): ReturnType<typeof run> =>
      run(['export', 'main', path, '--url', url, ...more])
    const countIn = (path: string): unknown => {
      const { DatabaseSync } = requireSqlite()
      const db = new DatabaseSync(path, { readOnly: true })
      const found = db.prepare('SELECT count(*) AS n FROM t').get()?.['n']
      db.close()
      return found
    }
    assert.equal((await run(['exec', 'CREATE TABLE t (a)', '--url', url])).code, 0)

    assert.equal((await to(file('whole.db'))).code, 0)
    assert.equal(countIn(file('whole.db')), 0)
    assert.equal(existsSync(file('whole.db.part')), false)

    execFileSync('mkfifo', [file('pipe')])
    const reader = new Running(['export', 'main', file('pipe'), '--url', url])
    const piped = execFileSync('cat', [file('pipe')])
    const { code, err } = await reader.ended
    assert.equal(code, 0, err)
    writeFileSync(file('piped.db'), piped)
    assert.equal(countIn(file('piped.db')), 0)

    const output = await to('-')
    assert.equal(output.code, 0, output.err)
    assert.match(output.out, /^SQLite format 3/)
    assert.match(output.err, /main is in standard output/)

    mkdirSync(file('folder'))
    assert.match((await to(file('folder'), '--force')).err, /is a folder/)
    writeFileSync(file('whole.db-wal'), 'of another')
    const before = readFileSync(file('whole.db'))
    assert.match((await to(file('whole.db'), '--force')).err, /whole\.db-wal belongs to a file/)
    assert.deepEqual(readFileSync(file('whole.db')), before)
  })
})
